"""Who would be locked out by other identities: said before it happens, and when it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tenantpool.config.service import Service
from tenantpool.errors import NotAuthenticated

from .identity import Guard, Identity


def lockouts(
    old: Service, new: Service, caller: Identity | None, workers: Iterable[Identity]
) -> Iterator[str]:
    """Whom the rules *new* lock out, a line for each; *workers* are those who have a session."""
    if old.identities == new.identities and old.open_to_everybody == new.open_to_everybody:
        return
    guard = Guard(new)
    if new.identities and not any(rule.administer for rule in new.identities.values()):
        yield "nobody may administer any more: further changes must come through the file"
    elif caller is not None and not _administers(guard, caller):
        yield f"{caller.name}, who asks for this, may not administer any more"
    ending = Counter(who.name for who in workers if not _leases(guard, who))
    for name, sessions in sorted(ending.items()):
        yield f"sessions of {name} end, as it is not known any more or may not lease: {sessions}"


def _administers(guard: Guard, who: Identity) -> bool:
    found = _again(guard, who)
    return found is not None and found.may_administer


def _leases(guard: Guard, who: Identity) -> bool:
    found = _again(guard, who)
    return found is not None and found.can_lease


def _again(guard: Guard, who: Identity) -> Identity | None:
    try:
        return guard.again(who)
    except NotAuthenticated:
        return None
