"""The kinds of value the configuration is made of, and what each of them refuses."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

MAX_IDENTIFIER = 63
"""PostgreSQL cuts longer names off silently, which could make two tenants one."""

_LONGEST_TIMEOUT = 2_147_483
"""PostgreSQL counts timeouts as milliseconds in 32 bits."""


def _no_bool(value: object) -> object:
    """Refuse what YAML reads as true or false: Python would count it as 1 or 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def no_nul(value: str) -> str:
    """Refuse NUL bytes: they end a string in C, so libpq would see another name than we do."""
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


def _no_nul_secret(value: SecretStr) -> SecretStr:
    no_nul(value.get_secret_value())
    return value


def _short(value: str) -> str:
    if len(value.encode()) > MAX_IDENTIFIER:
        raise ValueError(f"must not be longer than {MAX_IDENTIFIER} bytes, as PostgreSQL cuts it")
    return value


def _role(value: str) -> str:
    if value == "none":
        raise ValueError("must not be none: SET ROLE none gives the rights of the login role")
    return value


def _schema(value: str) -> str:
    if value == "$user":
        raise ValueError("must not be $user: a search path reads it as the name of the role")
    return value


def _text(value: object) -> object:
    """Read the numbers and switches of YAML as PostgreSQL would write them."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int | float) else value


def _shared(value: str) -> str:
    """One string for all who say the same: of 10,000 tenants many do."""
    return sys.intern(str(value))


def _setting_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", value):
        raise ValueError("must be the name of a setting (letters, digits, _ and .)")
    if value.lower() in {"role", "session_authorization"}:
        raise ValueError("cannot be set here; write role: beside settings:")
    return _shared(value)


def _capacity(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(_no_bool(value))
    except ValueError:  # one sentence instead of one error per member of the union
        raise ValueError("must be a whole number from 1 up, or auto") from None


def _shown(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(_no_bool(value))
    except ValueError:
        raise ValueError("must be a whole number from 0 up, or all") from None


_number = BeforeValidator(_no_bool)

Seconds = Annotated[float, _number, Field(gt=0, allow_inf_nan=False)]
"""A duration in seconds, above zero: zero must never mean for ever."""
SecondsOrZero = Annotated[float, _number, Field(ge=0, allow_inf_nan=False)]
"""A duration in seconds where zero is a plain zero (no minimum age, no quantum)."""
ServerTimeout = Annotated[float, _number, Field(ge=0.001, le=_LONGEST_TIMEOUT)]
"""A timeout that PostgreSQL keeps, in seconds; it would read less than 1 ms as for ever."""
Rate = Annotated[float, _number, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, _number, Field(gt=0, le=1)]
Count = Annotated[int, _number, Field(ge=0)]
CountFromOne = Annotated[int, _number, Field(ge=1)]
Port = Annotated[int, _number, Field(ge=0, le=65535)]
"""A TCP port; 0: any that is free."""
Capacity = Annotated[Annotated[int, Field(ge=1)] | Literal["auto"], WrapValidator(_capacity)]

TenantsShown = Annotated[Annotated[int, Field(ge=0)] | Literal["all"], WrapValidator(_shown)]

Key = Annotated[str, StringConstraints(min_length=1), AfterValidator(no_nul)]
"""What an operator or a caller names: a tenant, a tier, a database server."""
Reference = Annotated[str, AfterValidator(_shared)]
"""A tier or database that a tenant names."""
Identifier = Annotated[Key, AfterValidator(_short)]
"""A name inside PostgreSQL: a database, a user, a role, a schema."""
Role = Annotated[Identifier, AfterValidator(_role)]
Schema = Annotated[Identifier, AfterValidator(_schema)]
SettingName = Annotated[str, AfterValidator(_setting_name)]
SettingValue = Annotated[
    str,
    BeforeValidator(_text, json_schema_input_type=str | int | float | bool),
    AfterValidator(no_nul),
]
Password = Annotated[SecretStr, AfterValidator(_no_nul_secret)]
