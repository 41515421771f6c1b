"""What administrators do on the dashboard."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from tenantpool.errors import BadRequest, LeaseEnded, NotAllowed
from tenantpool.journal import report
from tenantpool.service.identity import Identity

from .source import Source


class Deed(NamedTuple):
    """What somebody wants to be done."""

    source: Source
    by: Identity
    of: str
    """The tenant, lease or override that it is done to."""


async def drain(deed: Deed) -> None:
    """Refuse the tenant's requests, and close its connections as they come back."""
    await deed.source.manager.drain(deed.of, 0.0)


async def resume(deed: Deed) -> None:
    """End a drain."""
    deed.source.manager.resume(deed.of)


async def reset_breaker(deed: Deed) -> None:
    """Let the tenant's pool connect again at once."""
    deed.source.manager.reset_breaker(deed.of)


async def undo_scaling(deed: Deed) -> None:
    """Give the tenant the cap of its tier again, and let it stay so."""
    deed.source.manager.roster.tenant(deed.of)
    deed.source.manager.scaling.undo(deed.of)


async def resume_scaling(deed: Deed) -> None:
    """Let the tenant's cap follow its use again."""
    deed.source.manager.roster.tenant(deed.of)
    deed.source.manager.scaling.resume(deed.of)


async def remove_override(deed: Deed) -> None:
    """Undo the override before its end. BadRequest if it has ended by itself."""
    await deed.source.overriding.remove(deed.of, deed.by)


async def revoke(deed: Deed) -> None:
    """End the lease and its backend. LeaseEnded if it has ended by itself."""
    if not deed.source.desk.ledger.revoke_one(deed.of, "revoked by an administrator"):
        raise LeaseEnded(f"{deed.of}: there is no such lease (any more)")


ACTIONS: Final[Mapping[str, tuple[Callable[[Deed], Awaitable[None]], str]]] = {
    "drain": (drain, "{} is being drained."),
    "resume": (resume, "{} is served again."),
    "reset-breaker": (reset_breaker, "{} may connect again."),
    "undo-scaling": (undo_scaling, "{} has the cap of its tier, and keeps it."),
    "resume-scaling": (resume_scaling, "{} has a cap that follows its use again."),
    "remove-override": (remove_override, "Override {} was removed."),
    "revoke": (revoke, "{} was revoked."),
}
"""What can be done to a tenant, an override or a lease, and how it is said afterwards."""


async def act(source: Source, name: str, form: Mapping[str, str], action: str) -> str:
    """Do it for the identity *name*, log it, and return what to say.

    Raises BadRequest, ConfigError, LeaseEnded, NotAllowed, UnknownTenant; nothing was done then.
    """
    of = form.get("of", "")
    if action not in ACTIONS or not of:
        raise BadRequest("no such action")
    by = source.guard.named(name)
    if by is None:
        raise NotAllowed(f"{name} is no identity any more")
    do, said = ACTIONS[action]
    await do(Deed(source, by, of))
    report(logging.WARNING, f"dashboard: {action}", of=of, by=name)
    return said.format(of)
