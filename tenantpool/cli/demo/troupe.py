"""The worker processes: all of them are gone when the demo is."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

from tenantpool.cli.demo.cast import CARELESS, MORTAL, NOISY, PROCESSES, TENANTS
from tenantpool.cli.demo.worker import CALM, END, GO, Job, Report

_LONGEST_START = 30.0
_LONGEST_END = 25.0


class Player:
    """One worker process, and what it has said."""

    def __init__(self, job: Job, process: Process) -> None:
        self.job = job
        self.is_killed = False
        self.told: Counter[str] = Counter()
        """Orders that it told of at once, by tenant."""
        self.findings: list[tuple[str, Mapping[str, Any]]] = []
        """What query insight has found in it, by kind."""
        self.report: Report | None = None
        self._process = process
        self._ready = asyncio.Event()
        self._has_begun = False
        self._listening = asyncio.create_task(self._listen())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.job.name}, pid {self._process.pid}>"

    @classmethod
    async def start(cls, job: Job) -> Player:
        """Start the process. In a session of its own: an interrupt from the keyboard is ours."""
        command = [sys.executable, "-m", "tenantpool.cli.demo.worker", json.dumps(asdict(job))]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        return cls(job, process)

    async def begin(self) -> None:
        """Let it work, as soon as it is ready. A second time does nothing."""
        await self._ready.wait()
        if not self._has_begun:
            self._has_begun = True
            self.tell(GO)

    def kill(self) -> None:
        """As ``kill -9`` does. Does not block."""
        self.is_killed = True
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Let it finish what it is about, and report. Blocks until its process is gone."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_END):
                await self.begin()
                self.tell(END)
                await self._listening
        await self.close()

    async def close(self) -> None:
        """End it, if it still runs. Blocks until its process is gone."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        await asyncio.gather(self._listening, return_exceptions=True)

    @property
    def written(self) -> Counter[str]:
        """Orders that it told of, by tenant."""
        return Counter(self.report.written) if self.report is not None else self.told

    @property
    def wrong(self) -> list[str]:
        """What must not happen, and did, once it has ended."""
        if self.report is not None:
            return self.report.wrong
        code = self._process.returncode
        return [] if self.is_killed else [f"{self.job.name} ended with code {code}, and no report"]

    def tell(self, word: bytes) -> None:
        """Tell it one of the words of ``worker``. Does not block."""
        assert self._process.stdin is not None
        if self._process.returncode is None:
            self._process.stdin.write(word)

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._hear(json.loads(line))
        self._ready.set()  # or never

    def _hear(self, message: dict[str, Any]) -> None:
        match message:
            case {"ready": True}:
                self._ready.set()
            case {"wrote": tenant}:
                self.told[tenant] += 1
            case {"found": kind, "fields": fields}:
                self.findings.append((kind, fields))
            case {"report": report}:
                self.report = Report(**report)


class Troupe:
    """All worker processes; a context manager that leaves none behind."""

    def __init__(self, target: str) -> None:
        self.players: list[Player] = []
        self._target = target
        self._changing = asyncio.Lock()
        self._is_over = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(player.close() for player in self.players))

    async def begin(self) -> None:
        """Start all, and let them work once all are ready."""
        async with asyncio.timeout(_LONGEST_START):
            for job in self._jobs():
                self.players.append(await Player.start(job))
            for player in self.players:
                await player.begin()

    async def replace(self, player: Player) -> None:
        """Start another one for the work of *player*. Blocks until it works."""
        async with self._changing:
            if self._is_over:
                return
            job = Job(**{**asdict(player.job), "name": f"{player.job.name}, the second"})
            another = await Player.start(job)
            self.players.append(another)
        await another.begin()

    def calm(self) -> None:
        """Let the noisy tenant ask for less from now on. Does not block."""
        for player in self.players:
            if NOISY in player.job.tasks:
                player.tell(CALM)

    async def end(self) -> None:
        """Let all finish and report. Blocks until they are gone."""
        async with self._changing:
            self._is_over = True
        await asyncio.gather(*(player.end() for player in self.players))

    @property
    def written(self) -> Counter[str]:
        """Orders that were told of, by tenant."""
        return sum((player.written for player in self.players), Counter())

    @property
    def doubtful(self) -> dict[str, int]:
        """Orders, at most, that a process was killed too early to tell of, by tenant."""
        killed = sum((Counter(p.job.tasks) for p in self.players if p.is_killed), Counter())
        return dict(killed)

    @property
    def delivered(self) -> Counter[str]:
        """Leases by the way their connection came, as far as they were told of."""
        reports = [player.report for player in self.players if player.report is not None]
        return sum((Counter(report.delivered) for report in reports), Counter())

    @property
    def wrong(self) -> list[str]:
        """What must not happen, and did."""
        return [problem for player in self.players for problem in player.wrong]

    @property
    def mortal(self) -> Player:
        """The one that may be killed."""
        return next(player for player in self.players if player.job.tells_orders)

    @property
    def careless(self) -> Player:
        """The one that does what it should not."""
        return next(player for player in self.players if player.job.is_careless)

    def _jobs(self) -> Iterator[Job]:
        for number in range(PROCESSES):
            tasks = {
                tenant.name: (tenant.tasks + number) // PROCESSES
                for tenant in TENANTS
                if tenant.name != MORTAL
            }
            delivery = "gateway" if number == 0 else ""
            yield Job(f"worker {number + 1}", self._target, tasks, delivery)
        (mortal,) = (tenant for tenant in TENANTS if tenant.name == MORTAL)
        name = f"worker {PROCESSES + 1}"
        yield Job(name, self._target, {MORTAL: mortal.tasks}, tells_orders=True)
        yield Job(CARELESS, self._target, {}, is_careless=True)
