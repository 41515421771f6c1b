"""Keeps the roster as the catalog in PostgreSQL has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from functools import partial

import psycopg

from tenantpool.concurrency import AsyncCompanion, AsyncSignal
from tenantpool.config.listing import Listing
from tenantpool.errors import ConfigError
from tenantpool.journal import report

from .changes import AsyncChanges
from .reader import AsyncReader
from .seating import AsyncSeating

_AGAIN = (0.2, 5.0)
"""Seconds until it connects again after a failure: at first, and at most."""


class AsyncCatalog:
    """Follows the catalog that is configured, if there is one.

    While it can't be read, the tenants stay as they were last seen.
    """

    def __init__(self, seating: AsyncSeating, changes: AsyncChanges, mark: str | None) -> None:
        self._seating = seating
        self._changes = changes
        self._mark = mark
        self._companion = AsyncCompanion("tenantpool-catalog")
        self._turn = asyncio.Lock()
        self._followed: object = None
        self._reader: AsyncReader | None = None
        self.problem = ""
        """Why it could not be read the last time; empty: it could, or there is none."""

    def __repr__(self) -> str:
        state = self.problem or ("not there" if self._reader is None else "followed")
        return f"<{type(self).__name__} {state}: {self._seating.roster.listing!r}>"

    def start(self) -> AsyncSignal:
        """Begin to follow the catalog, if there is one. The signal tells when it was first tried.

        Does not block.
        """
        tried = AsyncSignal()
        settings = self._seating.roster.settings
        self._followed, self.problem = self._source(), ""
        if settings.catalog is None:
            tried.set()
            return tried
        self._reader = AsyncReader(
            settings.catalog, self._params, self._seating.roster.listing, self._relist
        )
        self._companion.start(partial(self._follow, self._reader, tried))
        return tried

    async def stop(self) -> None:
        """Follow it no more. Blocks until its backend is gone; bounded."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()
            await self._companion.join()

    async def keep_up(self) -> None:
        """The configuration may have changed: follow what it says now.

        Blocks until the backend of before is gone, if it says something else; bounded.
        """
        async with self._turn:
            if self._source() == self._followed:
                return
            await self.stop()
            if self._seating.roster.settings.catalog is None:
                await self._relist(Listing.EMPTY, list(self._seating.seats))
            self.start()

    def _source(self) -> object:
        """What is followed, and from where."""
        settings = self._seating.roster.settings
        return settings.catalog and (settings.catalog, self._params())

    def _params(self) -> dict[str, str]:
        spec = self._seating.roster.settings.catalog_pool
        assert spec is not None, "bug: reads a catalog that is not configured"
        params = self._seating.roster.settings.connection_params(spec)
        return params | {"application_name": f"{self._mark} catalog"} if self._mark else params

    async def _follow(self, reader: AsyncReader, tried: AsyncSignal) -> None:
        pause = _AGAIN[0]
        while not reader.is_stopped:
            try:
                await self._wait_for_slot(reader)
                await reader.open()
                pause, self.problem = _AGAIN[0], ""
                tried.set()
                await reader.follow()
            except (psycopg.Error, OSError, ConfigError) as error:
                self._note(reader, error)
                tried.set()
                await reader.rest(pause)
                pause = min(2 * pause, _AGAIN[1])
        await reader.close()

    async def _wait_for_slot(self, reader: AsyncReader) -> None:
        """One connection of the capacity is kept for this, but perhaps only since a moment ago."""
        spec = self._seating.roster.settings.catalog_pool
        shell = self._seating.shells.get(spec.database) if spec is not None else None
        while shell is not None and not reader.is_stopped and shell.core.surplus > 0:
            await reader.rest(_AGAIN[0])

    def _note(self, reader: AsyncReader, error: Exception) -> None:
        if not reader.is_stopped:
            self.problem = str(error)
            report(logging.WARNING, "catalog can't be read", error=error)

    async def _relist(self, listing: Listing, names: Iterable[str]) -> None:
        await self._changes.relist(lambda roster: roster.with_listing(listing), names)
