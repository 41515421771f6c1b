"""What a failed connect says: of whom it speaks, and whether trying again can help.

psycopg has no SQLSTATE for a failed connect, because libpq keeps only the text. What the server
says itself is recognised by its form in any language, ``SEVERITY:  message`` with two spaces;
the few messages that matter are matched in English, and where a server speaks another language
the failure counts as one of the tenant's that may go away.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FROM_SERVER = re.compile(r"(?:^|: |\n)[\w ()]+:  \S")
_OF_THE_SERVER = re.compile(
    r"the database system is (?:starting up|shutting down|in recovery mode|not accepting)"
    r"|not yet accepting connections|terminating connection due to administrator"
    r"|too many clients already|connection slots are reserved"
)
_FINAL = re.compile(
    r"does not exist|authentication failed|no pg_hba\.conf entry|pg_hba\.conf rejects"
    r"|permission denied|is not permitted to log in|not currently accepting connections"
    r"|no password supplied"
)


class Failure(NamedTuple):
    """*everywhere*: the whole database is out of reach. *final*: trying again will not help."""

    everywhere: bool
    final: bool


def classify(error: BaseException) -> Failure:
    """Whom a failed connect speaks of."""
    text = str(error)
    from_server = _FROM_SERVER.search(text) is not None
    if not from_server or _OF_THE_SERVER.search(text):
        return Failure(everywhere=not _FINAL.search(text), final=bool(_FINAL.search(text)))
    return Failure(everywhere=False, final=bool(_FINAL.search(text)))
