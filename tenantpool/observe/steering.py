"""What administrators do on the dashboard."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from tenantpool.errors import BadRequest, LeaseEnded
from tenantpool.journal import report

from .access import Visitor
from .source import Source


async def drain(source: Source, of: str) -> None:
    """Refuse the tenant's requests, and close its connections as they come back."""
    await source.manager.drain(of, 0.0)


async def resume(source: Source, of: str) -> None:
    """End a drain."""
    source.manager.resume(of)


async def reset_breaker(source: Source, of: str) -> None:
    """Let the tenant's pool connect again at once."""
    source.manager.reset_breaker(of)


async def undo_scaling(source: Source, of: str) -> None:
    """Give the tenant the cap of its tier again, and let it stay so."""
    source.manager.roster.tenant(of)
    source.manager.scaling.undo(of)


async def resume_scaling(source: Source, of: str) -> None:
    """Let the tenant's cap follow its use again."""
    source.manager.roster.tenant(of)
    source.manager.scaling.resume(of)


async def revoke(source: Source, of: str) -> None:
    """End the lease and its backend. LeaseEnded if it has ended by itself."""
    if not source.desk.ledger.revoke_one(of, "revoked by an administrator"):
        raise LeaseEnded(f"{of}: there is no such lease (any more)")


ACTIONS: Final = {
    "drain": (drain, "is being drained"),
    "resume": (resume, "is served again"),
    "reset-breaker": (reset_breaker, "may connect again"),
    "undo-scaling": (undo_scaling, "has the cap of its tier, and keeps it"),
    "resume-scaling": (resume_scaling, "has a cap that follows its use again"),
    "revoke": (revoke, "was revoked"),
}
"""What can be done to a tenant, or a lease, and how it is said afterwards."""


async def act(source: Source, who: Visitor, form: Mapping[str, str], action: str) -> str:
    """Do it, log it, and return what to say. Raises BadRequest, LeaseEnded, UnknownTenant."""
    of = form.get("of", "")
    if action not in ACTIONS or not of:
        raise BadRequest("no such action")
    do, said = ACTIONS[action]
    await do(source, of)
    report(logging.WARNING, f"dashboard: {action}", of=of, by=who.name)
    return f"{of} {said}."
