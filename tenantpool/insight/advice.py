"""What helps, in words."""

from __future__ import annotations

_REPEATED = {
    "select": "fetch it with the query before it by a JOIN, or all at once with"
    " `= any(%s)`; in an ORM use eager loading, elsewhere a loader that collects keys;"
    " cache what seldom changes",
    "insert": "insert all rows with executemany, one VALUES list or COPY",
    "update": "change all rows with one UPDATE ... FROM unnest(...), or with executemany",
    "delete": "delete all rows with one DELETE ... WHERE key = any(%s)",
    "merge": "merge all rows with one MERGE ... USING unnest(...)",
    "call": "let one procedure take all the values as arrays",
}
_SAME = {"with": "select", "values": "select", "table": "select"}

SLOW = "look at its plan with EXPLAIN (ANALYZE, BUFFERS), or let insight.explain do so"
SLOW_EXPLAINED = "what its plan tells is a finding of its own; often an index helps, or fewer rows"
LONG_LEASE = (
    "give the connection back sooner: do not hold it while waiting for anything but the database"
)
IDLE = (
    "commit before doing anything else: an open transaction keeps locks and hinders vacuum;"
    " the tier's"
    " idle_in_transaction_session_timeout would end it"
)


def against_repeating(shape: str) -> str:
    """What to do instead of running statements of this *shape* many times; empty: nothing.

    Statements that carry no data (SET, BEGIN, SHOW, ...) are not worth a word.
    """
    verb = shape.partition(" ")[0].lower()
    return _REPEATED.get(_SAME.get(verb, verb), "")
