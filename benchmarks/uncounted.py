"""The core without what it counts for metrics: what counting costs is measured against it."""

from __future__ import annotations
import __future__

import re
import sys
from collections.abc import Callable
from functools import cache
from inspect import getsource
from textwrap import dedent
from typing import Any

from tenantpool.core.database import Database

_EVERY_LEASE: tuple[Callable[..., Any], ...] = (
    *(Database.request, Database._lend, Database._end_lease),
)
"""Where a lease that need not wait is counted."""
_COUNTING = re.compile(r".*\b(?:counters|tally|usage|holds)\.")


@cache
def uncounted() -> type[Database]:
    """The class of a core that grants and ends leases like any other, and counts none of them.

    It is made from the source of the real one, so that it cannot become another. Raises ValueError
    where nothing is counted any more.
    """
    return type("Uncounted", (Database,), dict(map(_without, _EVERY_LEASE)))


def _without(method: Callable[..., Any]) -> tuple[str, Callable[..., Any]]:
    """The *method* without the lines that count, and its name."""
    lines = dedent(getsource(method)).splitlines()
    kept = [line for line in lines if not _COUNTING.match(line)]
    if len(kept) == len(lines):
        raise ValueError(f"{method.__qualname__} counts nothing")
    flags = __future__.annotations.compiler_flag
    code = compile("\n".join(kept), method.__qualname__, "exec", flags, dont_inherit=True)
    made: dict[str, Callable[..., Any]] = {}
    exec(code, vars(sys.modules[method.__module__]), made)
    return next(iter(made.items()))
