"""The witness: PostgreSQL itself says how many connections there are, again and again."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import psycopg

_BURST = 0.1
_PAUSE = 0.0002
_LONGEST_ERRAND = 30.0

_FUNCTION = """
create function pg_temp.sample(
    burst float, pause float, out latest int, out most int, out looks int
) as $$
declare
    ends timestamptz := clock_timestamp() + burst * interval '1 s';
    looked timestamptz;
begin
    most := 0;
    looks := 0;
    while clock_timestamp() < ends loop
        looked := clock_timestamp();
        perform pg_stat_clear_snapshot();
        select count(*) into latest from pg_stat_activity
            where backend_type = 'client backend' and pid <> pg_backend_pid()
            and backend_start <= looked;
        most := greatest(most, latest);
        looks := looks + 1;
        perform pg_sleep(pause);
    end loop;
end
$$ language plpgsql
"""

_ASK = "select latest, most, looks from pg_temp.sample(%s, %s)"


class Sampler:
    """Counts the other client backends of a server as fast as it can; a context manager.

    The counting runs inside the server, in bursts: asking from here would be slower, and would
    miss what happens while this process is busy. Backends that still authenticate count too.
    The view is no snapshot: while it is read, one backend may go and another come. So those that
    came after the look had begun don't count, and what counts was there at one moment.
    Between two looks it rests for *pause* seconds, since a look costs the server 0.1 ms.
    ``most`` is the highest count, ``latest`` the last one, ``looks`` how often it looked. An
    error of the sampler is raised at the end of the block.
    """

    def __init__(self, conninfo: str, *, pause: float = _PAUSE) -> None:
        self.most = 0
        self.latest = 0
        self.looks = 0
        self._conninfo = conninfo
        self._pause = pause
        self._error: psycopg.Error | None = None
        self._errands: SimpleQueue[tuple[str, Future[None]]] = SimpleQueue()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __repr__(self) -> str:
        return f"<Sampler: {self.latest} backends, at most {self.most} in {self.looks} looks>"

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def run(self, statement: str) -> None:
        """Run *statement* between two bursts: a connection of its own would be counted.

        Blocks until it is done. Raises what it raises, CancelledError if the block ends before its
        turn, and TimeoutError after 30 seconds.
        """
        done: Future[None] = Future()
        self._errands.put((statement, done))
        done.result(_LONGEST_ERRAND)

    def _run(self) -> None:
        try:
            with psycopg.connect(self._conninfo, autocommit=True) as conn:
                conn.execute(_FUNCTION.encode())
                self._ready.set()
                while not self._stop.is_set():
                    self._look(conn)
                    self._run_errands(conn)
        except psycopg.Error as error:
            self._error = error
        finally:
            self._ready.set()
            while not self._errands.empty():
                self._errands.get()[1].cancel()

    def _run_errands(self, conn: psycopg.Connection) -> None:
        while not self._errands.empty():
            statement, done = self._errands.get()
            try:
                conn.execute(statement.encode())
            except psycopg.Error as error:
                done.set_exception(error)
            else:
                done.set_result(None)

    def _look(self, conn: psycopg.Connection) -> None:
        row = conn.execute(_ASK, [_BURST, self._pause]).fetchone()
        assert row is not None
        self.latest, most, looks = row
        self.most = max(self.most, most)
        self.looks += looks
