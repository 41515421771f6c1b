"""What the core asks its shell to do; what begins here comes back to it as an event."""

from __future__ import annotations

from typing import NamedTuple

from .pool import Pool
from .request import Request
from .slot import Slot
from .tenant import Tenant


class Open(NamedTuple):
    """Connect for this slot; then ``opened`` or ``open_failed``."""

    slot: Slot


class Close(NamedTuple):
    """End this slot's connection and wait until its backend is gone; then ``closed``.

    *revoked*: a holder may be using it at this moment, and is to be cut off.
    """

    slot: Slot
    revoked: bool = False


class Reset(NamedTuple):
    """Wipe the session of this slot's connection; then ``cleaned``."""

    slot: Slot


class Answer(NamedTuple):
    """Tell whoever is behind this request: it has been granted, refused or revoked."""

    request: Request


class WakeAt(NamedTuple):
    """Call ``wake`` at this time (seconds, the clock of ``now``), or earlier."""

    when: float


class Warmed(NamedTuple):
    """This pool has as many connections as it can get just now, towards its ``min_size``."""

    pool: Pool


class Forgotten(NamedTuple):
    """Nobody has asked for this tenant for long: it does not exist here any more."""

    tenant: Tenant


class Recall(NamedTuple):
    """Ask the holder of this lease to give it back until *deadline* (seconds, as ``now``).

    Whether it is ended then is the core's business, and not the holder's to know.
    """

    request: Request
    deadline: float
    why: str


class Unpark(NamedTuple):
    """Let nobody use this lease again when its holder is done: what is parked goes back.

    The holder itself is not asked for anything; see ``recalls.py``.
    """

    request: Request


class Departed(NamedTuple):
    """A lease of a tenant that has left has ended: ``came_home``, where that is now."""

    tenant: Tenant


class Elsewhere(NamedTuple):
    """This request was asked for of a tenant that has left: ask anew, where that is now.

    It is ``NEW`` again, or still.
    """

    request: Request


class Notice(NamedTuple):
    """Something an operator should know: *event* in the fewest words, and its fields."""

    event: str
    fields: dict[str, object]


Action = (
    Open
    | Close
    | Reset
    | Answer
    | WakeAt
    | Warmed
    | Forgotten
    | Recall
    | Unpark
    | Departed
    | Elsewhere
    | Notice
)
Actions = list[Action] | tuple[()]
