"""The start of a client's session: its start-up options, on a connection that is open already."""

from __future__ import annotations

from collections.abc import Mapping

from tenantpool.pools import session
from tenantpool.pools._async.link import AsyncLink

_APPLICATION = "application_name"
_LONGEST_NAME = 63
_UTF8 = {"utf8", "utf-8", "unicode"}


async def greet(link: AsyncLink, options: Mapping[str, str]) -> Mapping[str, str]:
    """Apply *options*, as PostgreSQL would at a start; return the parameters to report.

    The session keeps its mark in front of the client's ``application_name``, so that it is known
    whose backend it is. What is set here is undone with everything else when the lease ends.

    Blocks for a round trip if something differs from what the session has. Raises psycopg.Error
    if the server does not take an option.
    """
    known = {name.lower(): value for name, value in link.parameters.items()}
    differing = {
        name: value for name, value in options.items() if not _is_same(value, known.get(name))
    }
    if not differing:
        return link.parameters
    mark = known.get(_APPLICATION, "")
    given = differing.get(_APPLICATION)
    if given is not None and mark:
        differing[_APPLICATION] = f"{mark} {given}"[:_LONGEST_NAME]
    await link.switch(session.apply(differing.items()), undo=False)
    if given is None:
        return link.parameters
    return {**link.parameters, _APPLICATION: given}


def _is_same(wanted: str, known: str | None) -> bool:
    if known is None:
        return False
    return wanted == known or (known == "UTF8" and wanted.lower() in _UTF8)
