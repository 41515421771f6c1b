"""Insight: what was found in one process, kept for whoever looks, counted and logged."""

from __future__ import annotations

from time import monotonic

from tenantpool.insight.ledger import Ledger
from tenantpool.insight.lookout import Lookout
from tenantpool.insight.options import Options
from tenantpool.insight.sampler import Sampler


class Insight(Ledger):
    """What statements and leases tell of one process; ``findings`` shows it.

    A manager makes one when its configuration says so; a LeaseClient is given one. Several may
    share it. It may be used by any number of threads and tasks.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options = options or Options()
        super().__init__(options.findings, options.tenants, options.log_interval)
        self._sampler = Sampler(options.explain_interval)

    def __repr__(self) -> str:
        return f"<Insight: {self._summary()}, explain {'on' if self.options.explain else 'off'}>"

    def lookout(self) -> Lookout:
        """What looks at the leases in use of one manager or client. Does not block."""
        return Lookout(self.options, self.note)

    def may_explain(self, shape: str) -> bool:
        """Whether it is the turn of statements of this *shape*; if so, it has been taken."""
        with self._lock:
            return self._sampler.passes(shape, monotonic())
