"""What query insight has found, a page of it as a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from tenantpool.errors import BadRequest
from tenantpool.insight.finding import Finding
from tenantpool.observe.gathered import Gathered, gathered_from, matching
from tenantpool.v1 import admin_service_pb2 as pb

from .loan import seconds
from .view import page, timestamp

_MOST_TENANTS = 10
_HIGHEST = 10**18 - 1
"""More than the figures that are sorted by."""


def _falling(figure: float) -> str:
    """A text that comes the earlier the more there is of *figure*."""
    return f"{max(0, _HIGHEST - round(figure)):018d}"


_ORDERS: Final[Mapping[str, Callable[[Gathered], str]]] = {
    "latest": lambda one: "",
    "times": lambda one: _falling(one.times),
    "longest": lambda one: _falling(one.latest.seconds * 1e6),
    "kind": lambda one: one.kind,
    "tenant": lambda one: one.tenants[0],
}
"""What comes first; of those that are alike, the latest."""


async def findings_page(
    findings: Sequence[Finding], request: pb.ListFindingsRequest
) -> pb.ListFindingsResponse:
    """The page of *findings*, the latest first, that is asked for. Raises BadRequest."""
    order = _ORDERS.get(request.order_by or "latest")
    if order is None:
        raise BadRequest(f"order_by is {request.order_by!r}: it is one of {', '.join(_ORDERS)}")
    mine = [one for one in findings if one.tenant.startswith(request.prefix)]
    found = matching(await gathered_from(mine), request.contains, "")
    # Names that sort as the findings do: tokens lead to what comes after them, whatever is new.
    by_name = {f"{order(one)} {_falling(one.latest.last * 1e6)} {one.id}": one for one in found}
    here, token = page(by_name, "", request.page_size, request.page_token)
    return pb.ListFindingsResponse(
        findings=[_view(by_name[name]) for name in here],
        next_page_token=token,
        findings_found=len(found),
    )


def _view(one: Gathered) -> pb.FindingState:
    latest, tenants = one.latest, one.tenants
    return pb.FindingState(
        finding_id=one.id,
        kind=one.kind,
        tenants=tenants[:_MOST_TENANTS],
        tenants_found=len(tenants),
        what=latest.what,
        fix=latest.fix,
        statement=latest.statement,
        place=latest.place,
        duration=seconds(latest.seconds),
        count=latest.count,
        times=one.times,
        found_at=timestamp(latest.last),
        worker=latest.worker,
    )
