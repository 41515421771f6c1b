"""What a client counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Counted since the client was made. Not exact to the last one where threads race."""

    acquired: int = 0
    reused: int = 0
    hand_overs: int = 0
    connects: int = 0
    retries: int = 0
    recalls: int = 0
    ended: int = 0


@dataclass(frozen=True)
class ClientStats:
    """A client at one moment.

    *lent*, *parked*, *husks*: what there is now. Since the client was made: *sessions* begun;
    leases *acquired* from the service, of which *hand_overs* came into a husk that was there and
    *connects* took a connect of the worker; parked ones *reused*, without asking the service;
    *retries* of requests; *recalls* heard; leases *ended* without the worker's doing.
    """

    lent: int
    parked: int
    husks: int
    sessions: int
    acquired: int
    reused: int
    hand_overs: int
    connects: int
    retries: int
    recalls: int
    ended: int
