"""The YAML file: read strictly, and the line on which something stands found again."""

from __future__ import annotations

from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from tenantpool.config.yamlreader import Reader
from tenantpool.errors import ConfigError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast


class YamlFile:
    """A file that has been read: ``values`` is what it says, :meth:`line` where it says it."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Read *path*. ConfigError if it cannot be read, is empty, or says anything twice."""
        self.path = str(path)
        self._text = _read(self.path)
        self._known: dict[int, dict[str, tuple[int, yaml.Node]]] = {}
        try:
            self.values = self._parse()
        except yaml.YAMLError as error:
            raise self._syntax_error(error) from None

    def line(self, loc: tuple[str, ...]) -> int:
        """The line, from 1, of the value at *loc*, or of the section it should stand in."""
        node, line = self._root, 1
        for part in loc:
            if part not in self._keys(node):
                break
            line, node = self._keys(node)[part]
        return line

    @cached_property
    def _root(self) -> yaml.Node:
        """Read again, for the lines: only a file with a mistake needs them."""
        loader = _Loader(self._text)
        try:
            root: yaml.Node = loader.get_single_node()
            return root
        finally:
            loader.dispose()

    def _keys(self, node: yaml.Node) -> dict[str, tuple[int, yaml.Node]]:
        """Where each key of *node* stands, and its value; none if it is no mapping."""
        if id(node) not in self._known:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            self._known[id(node)] = {k.value: (k.start_mark.line + 1, v) for k, v in pairs}
        return self._known[id(node)]

    def _parse(self) -> dict[str, Any]:
        loader = _Loader(self._text)
        try:
            return Reader(self.path, loader).document()
        except RecursionError:
            raise ConfigError(self.path, "is nested too deeply") from None
        finally:
            loader.dispose()

    def _syntax_error(self, error: yaml.YAMLError) -> ConfigError:
        mark = getattr(error, "problem_mark", None)
        place = f"{self.path}:{mark.line + 1}" if mark else self.path
        problem = getattr(error, "problem", None) or getattr(error, "reason", None)
        return ConfigError(place, f"is not YAML: {problem or 'cannot be read'}")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(path, "there is no such file") from None
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(path, "is not UTF-8 text") from None
