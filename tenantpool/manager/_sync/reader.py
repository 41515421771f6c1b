# Generated from ../_async/reader.py by tools/generate_sync.py: do not edit.
"""Reads a catalog: whole at first and now and then, and what is told to have changed at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from tenantpool.concurrency import Alarm
from tenantpool.config.block import Builder
from tenantpool.config.catalog import Catalog, Statements
from tenantpool.config.listing import Listing
from tenantpool.errors import ConfigError
from tenantpool.journal import report
from tenantpool.pools._sync.subscriber import Subscriber

_TIMEOUT = 10.0
"""Seconds within which the server has to begin each answer."""
_MANY = 100
"""Single changes after which it is better to read everything again."""

Relist = Callable[[Listing, Iterable[str]], None]
"""Called with what is listed now, and the tenants of which something else is said."""


class Reader:
    """Follows one catalog over one connection, for one task, until ``stop``."""

    def __init__(
        self,
        rules: Catalog,
        params: Callable[[], Mapping[str, str]],
        listing: Listing,
        relist: Relist,
    ) -> None:
        self._rules = rules
        self._relist = relist
        self._subscriber = Subscriber(params, _TIMEOUT)
        self._alarm = Alarm()
        self._columns: tuple[str, ...] = ()
        self._listing = listing
        self.is_stopped = False

    def __repr__(self) -> str:
        state = "stopped" if self.is_stopped else repr(self._subscriber)
        return f"<{type(self).__name__} {state}: {self._listing!r}>"

    def stop(self) -> None:
        """Let ``follow`` and ``rest`` end. Does not block."""
        self.is_stopped = True
        self._alarm.ring()
        self._subscriber.hang_up()

    def rest(self, seconds: float) -> None:
        """Wait, unless it is stopped."""
        if not self.is_stopped:
            self._alarm.wait(seconds)

    def open(self) -> None:
        """Connect, and read everything. Blocks for that.

        Raises psycopg.Error, and ConfigError if a tenant is listed twice, or there is no id.
        """
        self._subscriber.connect(self._rules.channel)
        self._columns = self._rules.columns(self._subscriber.columns(self._rules.probe))
        self._read_all()

    def follow(self) -> None:
        """Read again what changes, until it is stopped. Raises as ``open`` does."""
        while not self.is_stopped:
            self._hear(monotonic() + self._rules.interval)
            self._read_all()

    def close(self) -> None:
        """Disconnect. Blocks until the backend is gone; bounded."""
        self._subscriber.close()

    @property
    def _statements(self) -> Statements:
        return self._rules.statements(self._columns)

    def _read_all(self) -> None:
        builder = Builder(self._columns)
        for rows in self._subscriber.rows(self._statements.copy):
            for row in rows:
                builder.feed(row)
            time.sleep(0)
        old, self._listing = self._listing, Listing(builder.finish())
        changed: list[str] = []
        for part in old.differences(self._listing):
            changed += part
            time.sleep(0)
        if changed or old is Listing.EMPTY:
            report(logging.INFO, "catalog read", tenants=len(self._listing), changed=len(changed))
            self._relist(self._listing, changed)

    def _hear(self, deadline: float) -> None:
        """Read single rows that are told to have changed, until it is time to read everything."""
        patched = 0
        while (left := deadline - monotonic()) > 0:
            names = set(self._subscriber.heard(left))
            patched += len(names)
            if not names or "" in names or patched > _MANY:
                return
            for name in names:
                self._read(name)

    def _read(self, name: str) -> None:
        rows = self._subscriber.ask(self._statements.one, name)
        if len(rows) > 1:
            raise ConfigError("catalog", f"lists the tenant {name} twice", "give each one row")
        self._listing = self._listing.patch(name, rows[0] if rows else None)
        report(logging.INFO, "catalog changed", tenant=name, listed=bool(rows))
        self._relist(self._listing, [name])
