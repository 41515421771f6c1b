"""Generate every ``_sync`` module from the ``_async`` module beside it.

    python tools/generate_sync.py            write what changed
    python tools/generate_sync.py --check    print a diff and exit 1 when something is stale

The source is changed as text, guided by its tokens, so comments and layout survive:

1. ``if True:  # ASYNC`` ... ``else:`` keeps its ``else`` branch, ``if False:  # ASYNC`` its body.
2. ``async`` and ``await`` disappear from code, and from examples in strings and comments.
3. The words of ``WORDS`` are replaced everywhere, ``AsyncXxx`` becomes ``Xxx`` and
   ``Awaitable[X]`` becomes ``X``.
4. ruff drops the imports that are not needed any more, sorts the others and formats.

The result must compile, which also proves that no ``await`` was left over.
"""

from __future__ import annotations

import argparse
import difflib
import io
import re
import subprocess
import sys
import token
import tokenize
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("tenantpool", "tests")

# Whole words, replaced in code, strings and comments alike. Keep it short: what differs in more
# than a name belongs into an ``if True:  # ASYNC`` block.
WORDS = {
    "_async": "_sync",
    # Protocols and built-ins.
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "AbstractAsyncContextManager": "AbstractContextManager",
    "StopAsyncIteration": "StopIteration",
    "aclose": "close",
    "aclosing": "closing",
    "aiter": "iter",
    "anext": "next",
    "asynccontextmanager": "contextmanager",
    "enter_async_context": "enter_context",
    # asyncio and its counterparts among threads (ruff removes the import that is not used).
    "import asyncio": "import threading\nimport time",
    "asyncio.Condition": "threading.Condition",
    "asyncio.Event": "threading.Event",
    "asyncio.Lock": "threading.Lock",
    "asyncio.sleep": "time.sleep",
    # A module of psycopg_pool, and a function of psycopg.
    "pool_async": "pool",
    "conninfo_attempts_async": "conninfo_attempts",
}

_MARKED = re.compile(r" *if (?P<branch>True|False):  # ASYNC\n")
_WORDS = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, WORDS)) + r")(?!\w)")
_ASYNC_NAME = re.compile(r"(?<![A-Za-z0-9])(_*)Async(?=[A-Z])")
_AN_ASYNC_NAME = re.compile(r"\b([Aa])n(\W{1,3})Async(?=[B-DF-HJ-NP-TV-Z])")
_AWAITABLE = re.compile(r"(?<![\w.])Awaitable\[")
# In prose only what looks like code: "the async manager" and "at any await" stay as they are.
_PROSE_KEYWORD = re.compile(r"\basync +(?=(?:with|for|def)\b)|\bawait +(?=\w+(?:\.\w|\())")

# Up to Python 3.11 an f-string is one token, later it is many between a start and an end.
_STRING_STARTS = {t for t, name in token.tok_name.items() if name.endswith("STRING_START")}
_STRING_ENDS = {t for t, name in token.tok_name.items() if name.endswith("STRING_END")}


class GenerateError(Exception):
    """A source that cannot be turned into a sync module; says where and why."""


# The transformation


def to_sync(source: str) -> str:
    """Return ``source`` as sync code, not formatted yet. Raises GenerateError."""
    _compile(source, "the source")
    text = _replace_words(_drop_keywords(_resolve_blocks(source)))
    _compile(text, "the result")
    return text


def _compile(text: str, what: str) -> None:
    try:
        compile(text, "<source>", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = text.splitlines()[(error.lineno or 1) - 1].strip()
        raise GenerateError(f"{what} does not compile: {error.msg}: {line}") from error


def _resolve_blocks(source: str) -> str:
    """Keep the sync branch of every marked ``if``; the outermost one goes first."""
    lines = source.splitlines(keepends=True)
    number = 0
    while number < len(lines):
        if marked := _MARKED.fullmatch(lines[number]):
            _resolve_block(lines, number, is_async=marked["branch"] == "True")
        else:
            number += 1
    return "".join(lines)


def _resolve_block(lines: list[str], start: int, *, is_async: bool) -> None:
    """Replace the marked ``if`` in line ``start`` by the branch that stays, one level up."""
    inside = _lines_inside_strings("".join(lines))
    end = _end_of_branch(lines, start, inside)
    body = range(start + 1, end)
    other = range(end, end)
    if lines[end : end + 1] == [" " * _indent(lines[start]) + "else:\n"]:
        end = _end_of_branch(lines, end, inside)
        other = range(body.stop + 1, end)
    kept = other if is_async else body
    level = " " * 4  # the sources are formatted by ruff
    lines[start:end] = [lines[n] if n in inside else lines[n].removeprefix(level) for n in kept]


def _end_of_branch(lines: Sequence[str], start: int, inside: set[int]) -> int:
    """Return the first line after ``start`` that is not indented deeper."""
    for number in range(start + 1, len(lines)):
        blank = number in inside or not lines[number].strip()
        if not blank and _indent(lines[number]) <= _indent(lines[start]):
            return number
    return len(lines)


def _lines_inside_strings(source: str) -> set[int]:
    """Return the lines, counted from 0, that begin within a string: their blanks are content."""
    return {
        number
        for piece in _pieces(source)
        if piece.kind == token.STRING
        for number in range(_line(source, piece.start) + 1, _line(source, piece.end) + 1)
    }


def _line(source: str, position: int) -> int:
    return source.count("\n", 0, position)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


class _Piece(NamedTuple):
    """A token by its place in the text; a whole f-string is one piece of kind STRING."""

    kind: int
    start: int
    end: int


def _pieces(source: str) -> Iterator[_Piece]:
    lines = source.splitlines(keepends=True)
    begin = [0, 0, *accumulate(map(len, lines))]  # of each line, which tokens count from 1
    nesting, start = 0, 0
    for tok in tokenize.generate_tokens(io.StringIO(source).readline):
        end = begin[tok.end[0]] + tok.end[1]
        if not nesting:
            start = begin[tok.start[0]] + tok.start[1]
        nesting += (tok.type in _STRING_STARTS) - (tok.type in _STRING_ENDS)
        if not nesting:
            yield _Piece(token.STRING if tok.type in _STRING_ENDS else tok.type, start, end)


def _drop_keywords(source: str) -> str:
    """Remove ``async`` and ``await`` with the blanks after them."""
    result: list[str] = []
    done = 0
    for piece in _pieces(source):
        text = source[piece.start : piece.end]
        if piece.kind == token.NAME and text in ("async", "await"):
            replacement = ""
        elif piece.kind in (token.STRING, token.COMMENT):
            replacement = _PROSE_KEYWORD.sub("", text)
        else:
            continue
        result += source[done : piece.start], replacement
        done = piece.end
        if not replacement:
            done += _indent(source[done:])
    return "".join(result) + source[done:]


def _replace_words(text: str) -> str:
    text = _WORDS.sub(lambda match: WORDS[match[0]], text)
    text = _ASYNC_NAME.sub(r"\1", _AN_ASYNC_NAME.sub(r"\1\2", text))
    while match := _AWAITABLE.search(text):
        close = _closing_bracket(text, match.end())
        text = text[: match.start()] + text[match.end() : close] + text[close + 1 :]
    return text


def _closing_bracket(text: str, start: int) -> int:
    depth = 1
    for index in range(start, len(text)):
        depth += {"[": 1, "]": -1}.get(text[index], 0)
        if not depth:
            return index
    raise GenerateError(f"no closing bracket: Awaitable[{text[start : start + 40]}")


# Files


def generate(source: Path) -> str:
    """Return the formatted sync module for the file ``source``. Raises GenerateError."""
    try:
        text = to_sync(source.read_text(encoding="utf-8"))
    except GenerateError as error:
        raise GenerateError(f"{source}: {error}") from error
    target = target_of(source)
    text = _ruff(["check", "--fix-only", "--quiet", "--select", "I,F401"], target, text)
    return _ruff(["format", "--quiet"], target, header(source) + text)


def header(source: Path) -> str:
    """Return the first line of the module generated from ``source``; what has it may be deleted."""
    return f"# Generated from ../_async/{source.name} by tools/generate_sync.py: do not edit.\n"


def target_of(source: Path) -> Path:
    return source.parent.parent / "_sync" / source.name


def _ruff(arguments: Sequence[str], target: Path, text: str) -> str:
    command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(target), "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GenerateError(f"{target}: ruff failed: {done.stderr.strip()}")
    return done.stdout


def find_sources(folders: Sequence[Path]) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("_async/*.py"))


def find_orphans(folders: Sequence[Path]) -> list[Path]:
    """Return the sync modules whose source is gone."""
    modules = (path for folder in folders for path in folder.rglob("_sync/*.py"))
    return sorted(path for path in modules if not (path.parents[1] / "_async" / path.name).exists())


def write(path: Path, text: str | None) -> None:
    """Bring one file up to date; None removes it, unless a person wrote it."""
    if text is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8").startswith(header(path)):
        path.unlink()
    else:
        raise GenerateError(f"{path}: has no source in ../_async and was written by hand")


def run(folders: Sequence[Path], *, check: bool) -> int:
    """Update or check all modules below ``folders``; return the exit code."""
    wanted: dict[Path, str | None] = {target_of(s): generate(s) for s in find_sources(folders)}
    wanted.update(dict.fromkeys(find_orphans(folders)))
    stale = [path for path, text in wanted.items() if text != _read(path)]
    for path in stale:
        if check:
            print(_diff(path, _read(path) or "", wanted[path] or ""))
        else:
            write(path, wanted[path])
            print(f"updated {path}")
    if check and stale:
        print(f"{len(stale)} generated modules not up to date: run `make sync`", file=sys.stderr)
    return 1 if check and stale else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _diff(path: Path, old: str, new: str) -> str:
    lines = old.splitlines(), new.splitlines()
    return "\n".join(difflib.unified_diff(*lines, str(path), f"{path} (wanted)", lineterm=""))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="generate the _sync modules from _async")
    parser.add_argument("--check", action="store_true", help="print a diff, change nothing")
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT / f for f in FOLDERS])
    options = parser.parse_args(arguments)
    try:
        return run(options.folders, check=options.check)
    except GenerateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
