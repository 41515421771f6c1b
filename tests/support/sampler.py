"""Ask PostgreSQL itself, again and again, how many connections there are."""

from __future__ import annotations

import threading
from collections import Counter
from types import TracebackType
from typing import Self

import psycopg

NAME = "sampler"
PAUSE = 0.002
"""Seconds between two looks: a backend needs longer than that to come and go. Without a pause the
sampler takes a core from those it watches, who then do less that could go wrong."""

COUNT = f"""
select application_name, count(*) from pg_stat_activity
where backend_type = 'client backend' and application_name <> '{NAME}'
    and backend_start <= statement_timestamp() group by 1
"""
"""The view is no snapshot: while it is read, one backend may go and another come. So those that
came after the look had begun don't count, and what counts was there at one moment."""


class Sampler:
    """A thread that counts the client backends of a server, every other millisecond.

    As a context manager it samples during the block. Afterwards ``most`` is the highest count of
    all backends together, ``most_of(name)`` that of one application_name, ``samples`` how often it
    looked. Backends that still authenticate count too: they hold a connection slot. An error of
    the sampler (the server went away) is raised at the end of the block, unless ``tolerant``,
    which connects again instead.
    """

    def __init__(self, dsn: str, *, tolerant: bool = False) -> None:
        self.samples = 0
        self.most = 0
        self._dsn = psycopg.conninfo.make_conninfo(dsn, application_name=NAME)
        self._tolerant = tolerant
        self._most_of: Counter[str] = Counter()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name=NAME)

    def __repr__(self) -> str:
        return f"<Sampler: at most {self.most} backends in {self.samples} samples>"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(10)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._error and exc is None:
            raise self._error

    def most_of(self, application_name: str) -> int:
        return self._most_of[application_name]

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._sample_until_lost()
        except psycopg.OperationalError as error:
            self._error = error
        finally:
            self._started.set()

    def _sample_until_lost(self) -> None:
        try:
            with psycopg.connect(self._dsn, autocommit=True) as conn:
                while not self._stop.wait(PAUSE):
                    self._record(conn.execute(COUNT).fetchall())
        except psycopg.OperationalError:
            if not self._tolerant:
                raise
            self._stop.wait(0.01)

    def _record(self, rows: list[tuple[str, int]]) -> None:
        counts = dict(rows)
        self.samples += 1
        self.most = max(self.most, sum(counts.values()))
        for name, count in counts.items():
            self._most_of[name] = max(self._most_of[name], count)
        self._started.set()
