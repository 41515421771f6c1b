"""Leases as the dashboard lists them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest
from math import inf
from time import monotonic

from tenantpool.service.loan import Loan
from tenantpool.service.view import delivery_name

PAGE = 50


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease in use. Times are seconds."""

    lease_id: str
    tenant: str
    tier: str
    database: str
    holder: str
    identity: str
    delivery: str
    held: float
    expires_in: float | None
    """None: as long as its session lives."""
    is_leak: bool
    pid: int


@dataclass(frozen=True, slots=True)
class LeasePage:
    """Some of them, those first that have been held for longest."""

    rows: list[LeaseRow]
    total: int
    page: int
    pages: int


def page_of(loans: Iterable[Loan], text: str, page: int) -> LeasePage:
    """The leases that have *text* in their tenant, holder or id."""
    text = text.casefold()
    found = [loan for loan in loans if not text or text in _words(loan)]
    pages = max(1, -(-len(found) // PAGE))
    page = min(max(1, page), pages)
    oldest = nlargest(page * PAGE, found, key=lambda loan: loan.held)
    return LeasePage(
        [row_of(loan) for loan in oldest[(page - 1) * PAGE :]], len(found), page, pages
    )


def row_of(loan: Loan) -> LeaseRow:
    """The lease as a row."""
    tenure = loan.tenure
    own = tenure is not None and tenure.attendance is None
    ends_at = tenure.ends_at if own and tenure is not None else inf
    return LeaseRow(
        loan.lease_id,
        loan.tenant.name,
        loan.tenant.limits.tier,
        loan.shell.name,
        loan.holder,
        loan.identity.name,
        delivery_name(loan.delivery),
        loan.held,
        max(0.0, ends_at - monotonic()) if ends_at < inf else None,
        loan.leak_reported,
        loan.link.pid if loan.link is not None else 0,
    )


def _words(loan: Loan) -> str:
    return f"{loan.lease_id} {loan.holder}".casefold()
