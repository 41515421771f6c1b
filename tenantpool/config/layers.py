"""The sources of the configuration, laid over each other, and where each value came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenantpool.config.names import read_environment, read_secrets
from tenantpool.config.yamlfile import YamlFile

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

Loc = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """One source: what it says, and how it names the place of what it says.

    *folded* sources have lost their capitals, as environment variables do.
    """

    values: Mapping[str, Any]
    place: Callable[[Loc], str]
    folded: bool = False


class Layers:
    """Sources in order, the strongest last."""

    def __init__(self, layers: Iterable[Layer]) -> None:
        self._layers = list(layers)

    @classmethod
    def of_arguments(cls, values: Mapping[str, Any]) -> Layers:
        """Nothing but the keyword arguments of a call."""
        return cls([_arguments(values)])

    def merged(self) -> dict[str, Any]:
        """All of them as one: sections are merged, a value of a stronger source wins."""
        merged: dict[str, Any] = {}
        for layer in self._layers:
            merged = _merge(merged, layer.values, folded=layer.folded)
        return merged

    def place(self, loc: Loc) -> str:
        """Where the value at *loc* was written, or else the section that it should stand in."""
        for depth in range(len(loc), 0, -1):
            for layer in reversed(self._layers):
                if _has(layer.values, loc[:depth]):
                    return layer.place(loc)
        return self._layers[0].place(loc)


def read_layers(
    settings: type[BaseSettings],
    path: str | PathLike[str] | None,
    secrets_dir: str | PathLike[str] | None,
    environ: Mapping[str, str] | None,
    values: Mapping[str, Any],
) -> Layers:
    """Read every source of ``Settings.load``, the weakest first. Raises ConfigError."""
    environ = os.environ if environ is None else environ
    path = path or environ.get("TENANTPOOL_CONFIG")
    secrets_dir = secrets_dir or environ.get("TENANTPOOL_SECRETS_DIR")
    layers = [_file(path)] if path else []
    if secrets_dir:
        layers.append(Layer(*read_secrets(settings, Path(secrets_dir)), folded=True))
    layers.append(Layer(*read_environment(settings, environ), folded=True))
    layers.append(_arguments(values))
    return Layers(layers)


def _file(path: str | PathLike[str]) -> Layer:
    file = YamlFile(path)
    return Layer(file.values, lambda loc: f"{file.path}:{file.line(loc)}: {'.'.join(loc)}")


def _arguments(values: Mapping[str, Any]) -> Layer:
    return Layer(values, lambda loc: f"argument {'.'.join(loc)}")


def _merge(weak: Mapping[str, Any], strong: Mapping[str, Any], *, folded: bool) -> dict[str, Any]:
    merged = dict(weak)
    for written, value in strong.items():
        key = _spelled(written, weak) if folded else written
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = _merge(below, value, folded=folded)
        merged[key] = value
    return merged


def _spelled(key: str, known: Mapping[str, Any]) -> str:
    """*key* as it is spelled in *known*, or as it is if it is not there in any capitals."""
    if key in known:
        return key
    return next((name for name in known if name.lower() == key.lower()), key)


def _has(values: object, loc: Loc) -> bool:
    for part in loc:
        if not isinstance(values, Mapping):
            return False
        part = _spelled(part, values)
        if part not in values:
            return False
        values = values[part]
    return True
