"""Settings given by name: environment variables and files of a secrets folder.

``TIERS__GOLD__WEIGHT`` is the way ``tiers.gold.weight``. pydantic-settings does the nesting; what
it would silently ignore is an error here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsError

from tenantpool.config.explain import known_depth, names_at
from tenantpool.errors import ConfigError, ConfigErrors

Loc = tuple[str, ...]
Source = tuple[Mapping[str, Any], Callable[[Loc], str]]
"""What a source says, and how it names the place of a value."""

PREFIX = "TENANTPOOL_"
DELIMITER = "__"

_RESERVED = {"config", "secrets_dir", "target", "token", "pure_python"}
"""Names with the prefix that are no settings.

Where settings are, what the client is told, and whether the gateway may use what is compiled.
"""

_KUBERNETES = re.compile(
    r"(\w+_)?(service_host|service_port(_\w+)?|port_\d+_(tcp|udp|sctp)(_\w+)?)"
)
"""Kubernetes puts these into every pod for a service whose name starts with tenantpool."""


def read_environment(settings: type[BaseSettings], environ: Mapping[str, str]) -> Source:
    """The settings in *environ*. ConfigError for a name with the prefix that is none."""
    written = {
        name: value
        for name, value in environ.items()
        if name.upper().startswith(PREFIX) and not _is_foreign(name[len(PREFIX) :].lower(), value)
    }
    values, place = _read(settings, written, prefix=PREFIX, kind="environment")
    return _nulls(values), place


def read_secrets(settings: type[BaseSettings], folder: Path) -> Source:
    """The settings in the files of *folder*. ConfigError if it, or one of them, cannot be read.

    Files without ``__`` in their name that are no setting belong to others and are not opened.
    """
    try:
        written = {
            file.name: file.read_text(encoding="utf-8").rstrip("\r\n")
            for file in sorted(folder.iterdir())
            if _is_secret(settings, file)
        }
    except OSError as error:
        raise ConfigError(f"secrets folder {folder}", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"secrets folder {folder}", "holds a file that is not UTF-8") from None
    return _read(settings, written, prefix="", kind="secret")


def _is_foreign(name: str, value: str) -> bool:
    if name in _RESERVED:
        return True
    return bool(_KUBERNETES.fullmatch(name) or re.match(r"(tcp|udp|sctp)://", value))


def _is_secret(settings: type[BaseSettings], file: Path) -> bool:
    if file.name.startswith(".") or not file.is_file():
        return False
    return DELIMITER in file.name or file.name.lower() in settings.model_fields


def _read(
    settings: type[BaseSettings], written: Mapping[str, str], *, prefix: str, kind: str
) -> Source:
    """Nest the values of the *written* names; ConfigError for those that are no settings."""
    if not written:
        return {}, partial(_place, {}, kind)
    ways = {name: tuple(name[len(prefix) :].lower().split(DELIMITER)) for name in written}
    flat = {DELIMITER.join(ways[name]): value for name, value in written.items()}
    values = _nest(settings, flat)
    if values is None:
        wrong = [
            n for n, v in written.items() if _nest(settings, {DELIMITER.join(ways[n]): v}) is None
        ]
        errors = [ConfigError(f"{kind} {n}", "a section must be a JSON object") for n in wrong]
    else:
        wrong = [name for name, way in ways.items() if not _reached(values, way)]
        errors = [
            ConfigError(f"{kind} {n}", "is not a setting", _hint(settings, n, prefix))
            for n in wrong
        ]
    if errors:
        raise errors[0] if len(errors) == 1 else ConfigErrors(errors)
    return values or {}, partial(_place, ways, kind)


def _place(ways: Mapping[str, Loc], kind: str, loc: Loc) -> str:
    """The name that gave the value at *loc*, or else one of its section."""
    written = ".".join(loc)
    name = max(ways, key=lambda name: _common(ways[name], loc), default="")
    if not name:
        return f"{kind}: {written}"
    exact = _common(ways[name], loc) == len(loc) == len(ways[name])
    return f"{kind} {name}" + ("" if exact else f": {written}")


def _nest(settings: type[BaseSettings], flat: Mapping[str, str]) -> dict[str, Any] | None:
    """Let pydantic-settings nest *flat* names and decode the JSON of sections; None if it fails."""
    source = EnvSettingsSource(settings, env_prefix="", env_nested_delimiter=DELIMITER)
    source.env_vars = flat
    try:
        return source()
    except SettingsError:
        return None


def _hint(settings: type[BaseSettings], name: str, prefix: str) -> str:
    """The same name with its first unknown part corrected, if something is close to it."""
    parts = name[len(prefix) :].lower().split(DELIMITER)
    depth = known_depth(settings, parts)
    if depth == len(parts):
        return "its section has a value already"
    known = [*names_at(settings, parts[:depth]), *(_RESERVED if prefix and not depth else ())]
    close = get_close_matches(parts[depth], known, n=1)
    if not close:
        return ""
    parts[depth] = close[0]
    right = prefix + DELIMITER.join(parts)
    return f"did you mean {right.upper() if name.isupper() else right}?"


def _reached(values: object, way: Loc) -> bool:
    for part in way:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def _common(way: Loc, loc: Loc) -> int:
    """How many parts are the same from the start."""
    same = [a == b.lower() for a, b in zip(way, loc, strict=False)]
    return same.index(False) if False in same else len(same)


def _nulls(values: Any) -> Any:
    """An environment variable says null, as a file does, where there is to be no limit."""
    if isinstance(values, dict):
        return {key: _nulls(value) for key, value in values.items()}
    return None if values == "null" else values
