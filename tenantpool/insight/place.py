"""Where in the code something is done: outside of what only passes it on."""

from __future__ import annotations

import sys
from types import CodeType
from typing import NamedTuple

_PASSING_ON = (
    *("tenantpool.manager.", "tenantpool.client.", "tenantpool.insight."),
    *("psycopg.", "psycopg_pool.", "sqlalchemy.", "greenlet.", "contextlib."),
)


class Place(NamedTuple):
    """An instruction; its text takes longer to find, so that is left until it is needed."""

    code: CodeType
    at: int

    def __str__(self) -> str:
        """``file:line in function``."""
        lines = self.code.co_lines()
        line = next((n for start, end, n in lines if start <= self.at < end), None)
        return f"{self.code.co_filename}:{line} in {self.code.co_qualname}"


def caller() -> Place:
    """The nearest caller that is not of tenantpool, psycopg or SQLAlchemy.

    Does not block. The outermost one, if all are.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and _passes_on(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return Place(frame.f_code, frame.f_lasti)


def _passes_on(module: str) -> bool:
    return f"{module}.".startswith(_PASSING_ON)
