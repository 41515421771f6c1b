"""Check the protos against Buf's rules STANDARD and COMMENTS.

The rules are those of ``buf lint`` under its names, applied to what protoc makes of the protos, so
nobody needs buf. Left out are those about the options of other languages, and what protoc itself
refuses: imports that are not used or go in a circle.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

Way = tuple[int, ...]
"""Where something is in a file: numbers of fields and indexes, as in SourceCodeInfo."""

_PASCAL = re.compile(r"[A-Z][A-Za-z0-9]*")
_LOWER_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_UPPER_SNAKE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_PACKAGE = re.compile(rf"{_LOWER_SNAKE.pattern}(\.{_LOWER_SNAKE.pattern})*")
_VERSION = re.compile(r"v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?")

# Numbers of the fields of FileDescriptorProto and of what it holds.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED_MESSAGES, _NESTED_ENUMS, _ONEOFS = 2, 3, 4, 8
_VALUES, _METHODS = 2, 2


class Finding(NamedTuple):
    """A rule that is broken, and by what."""

    file: str
    rule: str
    name: str

    def __str__(self) -> str:
        return f"{self.file}: {self.rule}: {self.name}"


def lint(files: FileDescriptorSet) -> list[Finding]:
    """Everything in *files* that breaks a rule."""
    found = [finding for file in files.file for finding in _Linter(file).findings()]
    return found + list(_types_used_twice(files))


def _types_used_twice(files: FileDescriptorSet) -> Iterator[Finding]:
    uses: Counter[str] = Counter()
    for file in files.file:
        for service in file.service:
            for method in service.method:
                uses.update((method.input_type, method.output_type))
    for name, count in uses.items():
        if count > 1:
            yield Finding("all files", "RPC_REQUEST_RESPONSE_UNIQUE", name)


class _Linter:
    """Walks through one file."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file
        self._comments: Mapping[Way, str] = {
            tuple(place.path): place.leading_comments for place in file.source_code_info.location
        }

    def findings(self) -> Iterator[Finding]:
        yield from self._whole_file()
        for index, message in enumerate(self._file.message_type):
            yield from self._message(message, (_MESSAGES, index))
        for index, enum in enumerate(self._file.enum_type):
            yield from self._enum(enum, (_ENUMS, index))
        for index, service in enumerate(self._file.service):
            yield from self._service(service, (_SERVICES, index))

    def _whole_file(self) -> Iterator[Finding]:
        package, path = self._file.package, Path(self._file.name)
        yield from self._rule("PACKAGE_DEFINED", bool(package))
        yield from self._rule("PACKAGE_LOWER_SNAKE_CASE", _PACKAGE.fullmatch(package), package)
        yield from self._rule("PACKAGE_DIRECTORY_MATCH", _folder(package) == path.parent, package)
        version = package.rpartition(".")[2]
        yield from self._rule("PACKAGE_VERSION_SUFFIX", _VERSION.fullmatch(version), package)
        yield from self._rule("FILE_LOWER_SNAKE_CASE", _LOWER_SNAKE.fullmatch(path.stem))
        yield from self._rule("SYNTAX_SPECIFIED", self._file.syntax == "proto3")
        yield from self._rule("IMPORT_NO_PUBLIC", not self._file.public_dependency)

    def _message(self, message: DescriptorProto, way: Way) -> Iterator[Finding]:
        if message.options.map_entry:  # protoc's own
            return
        yield from self._named("MESSAGE_PASCAL_CASE", _PASCAL, message.name)
        yield from self._commented("COMMENT_MESSAGE", message.name, way)
        for index, field in enumerate(message.field):
            yield from self._named("FIELD_LOWER_SNAKE_CASE", _LOWER_SNAKE, field.name)
            yield from self._commented("COMMENT_FIELD", field.name, (*way, _FIELDS, index))
        for index, oneof in enumerate(message.oneof_decl):
            yield from self._named("ONEOF_LOWER_SNAKE_CASE", _LOWER_SNAKE, oneof.name)
            yield from self._commented("COMMENT_ONEOF", oneof.name, (*way, _ONEOFS, index))
        for index, nested in enumerate(message.nested_type):
            yield from self._message(nested, (*way, _NESTED_MESSAGES, index))
        for index, enum in enumerate(message.enum_type):
            yield from self._enum(enum, (*way, _NESTED_ENUMS, index))

    def _enum(self, enum: EnumDescriptorProto, way: Way) -> Iterator[Finding]:
        prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
        zero = enum.value[0]
        yield from self._named("ENUM_PASCAL_CASE", _PASCAL, enum.name)
        yield from self._commented("COMMENT_ENUM", enum.name, way)
        yield from self._rule("ENUM_NO_ALLOW_ALIAS", not enum.options.allow_alias, enum.name)
        yield from self._rule("ENUM_FIRST_VALUE_ZERO", zero.number == 0, zero.name)
        suffixed = zero.name.endswith("_UNSPECIFIED")
        yield from self._rule("ENUM_ZERO_VALUE_SUFFIX", suffixed, zero.name)
        for index, value in enumerate(enum.value):
            yield from self._named("ENUM_VALUE_UPPER_SNAKE_CASE", _UPPER_SNAKE, value.name)
            prefixed = value.name.startswith(prefix)
            yield from self._rule("ENUM_VALUE_PREFIX", prefixed, value.name)
            yield from self._commented("COMMENT_ENUM_VALUE", value.name, (*way, _VALUES, index))

    def _service(self, service: ServiceDescriptorProto, way: Way) -> Iterator[Finding]:
        yield from self._named("SERVICE_PASCAL_CASE", _PASCAL, service.name)
        yield from self._rule("SERVICE_SUFFIX", service.name.endswith("Service"), service.name)
        yield from self._commented("COMMENT_SERVICE", service.name, way)
        for index, method in enumerate(service.method):
            yield from self._named("RPC_PASCAL_CASE", _PASCAL, method.name)
            yield from self._commented("COMMENT_RPC", method.name, (*way, _METHODS, index))
            for kind, name in (("REQUEST", method.input_type), ("RESPONSE", method.output_type)):
                ends = (method.name + kind.title(), service.name + method.name + kind.title())
                standard = name.rpartition(".")[2] in ends
                yield from self._rule(f"RPC_{kind}_STANDARD_NAME", standard, name)

    def _named(self, rule: str, pattern: re.Pattern[str], name: str) -> Iterator[Finding]:
        return self._rule(rule, pattern.fullmatch(name), name)

    def _commented(self, rule: str, name: str, way: Way) -> Iterator[Finding]:
        return self._rule(rule, self._comments.get(way, "").strip(), name)

    def _rule(self, rule: str, kept: object, name: str = "") -> Iterator[Finding]:
        if not kept:
            yield Finding(self._file.name, rule, name or Path(self._file.name).name)


def _folder(package: str) -> Path:
    return Path(*package.split("."))
