"""From the events of a YAML parser to values, strictly, and without a tree in between.

With 100,000 tenants the tree that yaml builds takes 300 MB, and the garbage collector stops every
thread for a second while it goes through it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from tenantpool.errors import ConfigError

_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN_TAGS = {None, "!", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}


class Reader:
    """Reads one document. Keys are text: a tenant may be called ``no`` or ``42``.

    yaml's own construction would let keys stand twice, and make numbers and switches of them.
    """

    def __init__(self, path: str, loader: Any) -> None:
        """*loader* is one of yaml's safe ones, on the text of the file *path*."""
        self._path = path
        self._loader = loader
        self._next = loader.get_event
        self._anchors: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """What the file says. Raises ConfigError, yaml.YAMLError and RecursionError."""
        self._next()  # the start of the stream
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise ConfigError(self._path, "the file is empty", "databases: is needed at least")
        event = self._next()
        if not isinstance(event, yaml.MappingStartEvent):
            raise ConfigError(f"{self._path}:1", "is not a mapping", "write databases: first")
        values: dict[str, Any] = self._value(event)
        self._next()  # the end of the document
        extra = self._next()
        if not isinstance(extra, yaml.StreamEndEvent):
            raise ConfigError(self._place(extra), "a second document begins", "write one only")
        return values

    def _value(self, event: Any) -> Any:
        """The value that starts with *event*; an alias stands for the same object."""
        kind = type(event)
        if kind is yaml.AliasEvent:
            if event.anchor not in self._anchors:
                raise ConfigError(self._place(event), f"there is no anchor {event.anchor} above")
            return self._anchors[event.anchor]
        if kind is yaml.ScalarEvent:
            value = self._scalar(event)
        elif event.tag not in _PLAIN_TAGS:
            raise ConfigError(self._place(event), f"the tag {event.tag} means nothing here")
        elif kind is yaml.MappingStartEvent:
            value = self._mapping()
        else:
            value = [self._value(item) for item in self._until(yaml.SequenceEndEvent)]
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _mapping(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        lines: dict[str, int] = {}
        for key in self._until(yaml.MappingEndEvent):
            name = self._key(key, lines)
            value = self._value(self._next())
            if name == "<<" and self._tag(key) == _MERGE:
                merged += self._sections(key, value)
            else:
                values[name] = value
        for below in merged:
            values = {**below, **values}
        return values

    def _sections(self, key: Any, value: Any) -> list[dict[str, Any]]:
        """What a merge key merges; the first wins over the others."""
        sections = value if isinstance(value, list) else [value]
        if not all(isinstance(section, dict) for section in sections):
            text = "<<: must be followed by a mapping, or a list of them"
            raise ConfigError(self._place(key), text)
        return sections

    def _key(self, event: Any, lines: dict[str, int]) -> str:
        """The name of a key; *lines* are those of the names before it."""
        if type(event) is not yaml.ScalarEvent:
            raise ConfigError(self._place(event), "a key must be a name")
        name: str = event.value
        if name in lines:
            text = f"{name} stands on line {lines[name]} already"
            raise ConfigError(self._place(event), text)
        lines[name] = _line(event)
        return name

    def _scalar(self, event: Any) -> Any:
        tag = self._tag(event)
        if tag == _TEXT:
            return event.value
        node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        return self._loader.construct_object(node, deep=True)

    def _tag(self, event: Any) -> str:
        """What kind of value a scalar is: as it says itself, or as it looks."""
        if event.tag is not None and event.tag != "!":
            return str(event.tag)
        return str(self._loader.resolve(yaml.ScalarNode, event.value, event.implicit))

    def _until(self, end: type) -> Iterator[Any]:
        """The events up to the *end*, as far as the values between do not take them."""
        while type(event := self._next()) is not end:
            yield event

    def _place(self, event: Any) -> str:
        return f"{self._path}:{_line(event)}"


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
