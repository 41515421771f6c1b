"""What differs between tasks and threads, side by side: the rest is written once, in ``_async``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Any, ParamSpec

P = ParamSpec("P")

Lock = threading.Lock


class AsyncLock:
    """Protects nothing, as between two awaits a task is alone; it only knows whether it is held.

    One who is not alone even there is the garbage collector.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = False

    def __enter__(self) -> None:
        self._held = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._held = False

    def acquire(self, blocking: bool) -> bool:
        """Take it unless it is held; return whether it was taken. Never blocks."""
        is_free, self._held = not self._held, True
        return is_free

    def release(self) -> None:
        """Let go of it."""
        self._held = False


class AsyncSignal:
    """Given once, awaited by one."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def set(self) -> None:
        """Give the signal. Does not block; a second time does nothing."""
        self._resolve(True)

    async def wait(self, timeout: float) -> bool:
        """Wait for the signal for at most *timeout* seconds. Return whether it was given."""
        if self._future.done():
            return self._future.result()
        timer = self._future.get_loop().call_later(max(0.0, timeout), self._resolve, False)
        try:
            return await self._future
        finally:
            timer.cancel()

    def _resolve(self, given: bool) -> None:
        if not self._future.done():
            self._future.set_result(given)


class Signal:
    """Given once, awaited by one."""

    __slots__ = ("_latch",)

    def __init__(self) -> None:
        self._latch = threading.Lock()
        self._latch.acquire()

    def set(self) -> None:
        """Give the signal. Does not block; only the first call has an effect."""
        with suppress(RuntimeError):  # it has been given already
            self._latch.release()

    def wait(self, timeout: float) -> bool:
        """Wait for the signal for at most *timeout* seconds. Return whether it was given."""
        return self._latch.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX))


class AsyncAlarm:
    """Rings as often as one likes, to be waited for by one task."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter, now or as soon as it waits. Does not block."""
        self._event.set()

    async def wait(self, timeout: float) -> None:
        """Sleep until it rings, for at most *timeout* seconds."""
        try:
            async with asyncio.timeout(max(0.0, timeout)):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()


class Alarm:
    """Rings as often as one likes, to be waited for by one thread."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ring(self) -> None:
        """Wake the waiter, now or as soon as it waits. Does not block."""
        self._event.set()

    def wait(self, timeout: float) -> None:
        """Sleep until it rings, for at most *timeout* seconds."""
        self._event.wait(max(0.0, timeout))
        self._event.clear()


class AsyncCrew:
    """Runs jobs in the background: a task each, so there are as many as jobs under way."""

    def __init__(self, size: int, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<AsyncCrew {self._name}: {len(self._tasks)} at work>"

    def resize(self, size: int) -> None:
        """Nothing: a task each."""

    def run(
        self, job: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Start *job*. Does not block. A job sees to its own errors."""
        task = asyncio.create_task(job(*args, **kwargs), name=self._name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def join(self) -> None:
        """Wait until the jobs under way have ended, and those that they start."""
        while self._tasks:
            await asyncio.wait(self._tasks)


class Crew:
    """Runs jobs in the background on at most *size* threads, started as they are needed.

    Half the cost of an executor's job, since nobody asks for its result. The threads are daemons:
    an application that forgets to close its manager can still exit.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._under_way = 0
        self._idle = threading.Condition()

    def __repr__(self) -> str:
        return f"<Crew {self._name}: {self._under_way} at work>"

    def resize(self, size: int) -> None:
        """Start at most *size* threads from now on. Does not block."""
        self._size = size

    def run(self, job: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Start *job* when a thread is free. Does not block. A job sees to its own errors."""
        with self._idle:
            self._under_way += 1
            if len(self._threads) < min(self._under_way, self._size):
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._threads.append(thread)
                thread.start()
        self._jobs.put(partial(job, *args, **kwargs))

    def join(self) -> None:
        """Wait until the jobs under way have ended, and those that they start."""
        with self._idle:
            self._idle.wait_for(lambda: not self._under_way)
            threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:
                # As any thread's error is shown; but this thread goes on.
                args = (type(error), error, error.__traceback__, threading.current_thread())
                threading.excepthook(threading.ExceptHookArgs(args))
            del job  # it would keep its connection alive until the next one comes
            with self._idle:
                self._under_way -= 1
                if not self._under_way:
                    self._idle.notify_all()


class AsyncCompanion:
    """One job that runs beside the application until it is told to end."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def start(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start *job*. Does not block."""
        self._task = asyncio.create_task(job(), name=self._name)

    async def join(self) -> None:
        """Wait until the job has ended; it must have been told to."""
        if self._task is not None:
            await self._task


class Companion:
    """One job that runs beside the application until it is told to end.

    Its thread is a daemon: an application that forgets to close its manager can still exit.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None

    def start(self, job: Callable[[], None]) -> None:
        """Start *job*. Does not block."""
        self._thread = threading.Thread(target=job, name=self._name, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the job has ended; it must have been told to."""
        if self._thread is not None:
            self._thread.join()
