"""What all sections of the configuration share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Restart:
    """Marks a field whose change needs a restart; every other field can change live."""

    def __repr__(self) -> str:
        return "RESTART"

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema says it too, for the documents that are generated from it."""
        return {**handler(core_schema), "x-restart": True}


RESTART = Restart()


def needs_restart(field: FieldInfo) -> bool:
    """Whether a change of *field* needs a restart."""
    return RESTART in field.metadata


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values cannot change afterwards."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True
    )


def no_null(value: object) -> object:
    """A section with nothing under it (``service:``) is an empty one."""
    return {} if value is None else value


def no_nulls(value: object) -> object:
    """So is each of its entries (``acme:``)."""
    written = no_null(value)
    if not isinstance(written, dict):
        return written
    return {key: no_null(entry) for key, entry in written.items()}
