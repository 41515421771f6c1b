"""What administrators see and say of the configuration and its overrides, as messages."""

from __future__ import annotations

from collections.abc import Iterable

from tenantpool.config.overrides import Override
from tenantpool.config.roster import Roster
from tenantpool.errors import BadRequest, ConfigError
from tenantpool.manager.foresight import Impact
from tenantpool.v1 import admin_service_pb2 as pb

from .loan import seconds
from .overriding import Wish, without
from .reload import Foresight, Outcome
from .view import timestamp


def mistakes_view(mistakes: Iterable[ConfigError]) -> list[pb.ConfigMistake]:
    """Every mistake with its place and the fix."""
    return [pb.ConfigMistake(place=e.place, problem=e.problem, fix=e.fix) for e in mistakes]


def plan_view(foresight: Foresight) -> pb.PlanConfigResponse:
    """What would change."""
    plan = foresight.plan
    changes = [
        pb.ConfigChange(kind=c.kind, subject=c.subject, text=c.text, live=c.live)
        for c in plan.changes
    ]
    rest = foresight.lines[len(changes) :]
    return pb.PlanConfigResponse(
        digest=foresight.old.digest,
        new_digest=foresight.settings.digest,
        changes=[*changes, *(pb.ConfigChange(text=text, live=True) for text in rest)],
        restarts=mistakes_view(plan.refusals),
        impacts=map(_impact_view, foresight.impacts),
    )


def reload_view(outcome: Outcome) -> pb.Reload:
    """What became of a try to change the configuration."""
    return pb.Reload(
        result=outcome.result,
        source=outcome.origin.source,
        author=outcome.origin.author,
        made_at=timestamp(outcome.at),
        digest_before=outcome.before,
        digest_after=outcome.after,
        changes=outcome.changes,
        mistakes=mistakes_view(outcome.mistakes),
    )


def override_view(roster: Roster, override: Override, now: float) -> pb.Override:
    """An override that is, or was just put, in *roster*; *now* in seconds since 1970."""
    view = pb.Override(
        override_id=override.id,
        tenant=override.tenant,
        was=without(roster, override) if override.id in roster.overrides else "",
        author=override.author,
        reason=override.reason,
        made_at=timestamp(override.made_at),
    )
    if override.tier is not None:
        view.tier = override.tier
    elif override.suspended is not None:
        view.suspended = override.suspended
    if override.until is not None:
        view.until.CopyFrom(timestamp(override.until))
        view.ends_in.CopyFrom(seconds(max(0.0, override.until - now)))
    return view


def wish_of(request: pb.SetOverrideRequest, now: float) -> Wish:
    """What the *request* asks for; *now* in seconds since 1970. Raises BadRequest."""
    kind = request.WhichOneof("change")
    if kind is None:
        raise BadRequest("an override needs a tier, or suspended")
    return Wish(
        tenant=request.tenant,
        tier=request.tier if kind == "tier" else None,
        suspended=request.suspended if kind == "suspended" else None,
        until=_end(request, now),
        reason=request.reason,
    )


def _impact_view(impact: Impact) -> pb.Impact:
    foreseen = impact.foreseen
    return pb.Impact(
        tenant=impact.tenant,
        database=impact.database,
        above=impact.above,
        requests=foreseen.requests,
        over_cap=foreseen.over_cap,
        over_queue=foreseen.over_queue,
        over_rate=foreseen.over_rate,
    )


def _end(request: pb.SetOverrideRequest, now: float) -> float | None:
    match request.WhichOneof("end"):
        case "lasts":
            return now + request.lasts.ToMicroseconds() / 1e6
        case "until":
            return request.until.ToMicroseconds() / 1e6
        case _:
            return None
