"""Pages as HTML: every value is escaped, and no page needs a script."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tenantpool import __version__

from . import figures

_HERE = Path(__file__).parent

STATIC = _HERE / "static"

_TURN = 0.001
"""Seconds."""

FORM_TOKEN = secrets.token_hex(8)
"""Stands in a page that is made for all, where each visitor's own token belongs."""


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "ago": figures.ago,
        "duration": figures.duration,
        "number": figures.number,
        "percent": figures.percent,
        "sentence": figures.sentence,
        "moment": figures.moment,
        "path": lambda name: quote(name, safe=""),
    }
    made.globals |= {
        "plural": figures.plural,
        "version": __version__,
        "FORM_TOKEN": FORM_TOKEN,
        "query": lambda **values: urlencode({k: v for k, v in values.items() if v not in ("", 1)}),
    }
    return made


_ENVIRONMENT = _environment()


async def page(template: str, values: Mapping[str, Any]) -> str:
    """The whole page."""
    return await _joined(_ENVIRONMENT.get_template(template).generate(values))


async def main(template: str, values: Mapping[str, Any]) -> str:
    """What is inside its ``main``: the part that changes."""
    found = _ENVIRONMENT.get_template(template)
    return await _joined(found.blocks["main"](found.new_context(dict(values))))


async def _joined(pieces: Iterable[str]) -> str:
    """A long page is drawn a millisecond at a time, so that nobody waits for it."""
    found: list[str] = []
    until = monotonic() + _TURN
    for piece in pieces:
        found.append(piece)
        if monotonic() > until:
            await asyncio.sleep(0)
            until = monotonic() + _TURN
    return "".join(found)
