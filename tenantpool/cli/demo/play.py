"""The play from curtain to curtain: start everything, let the tenants work, sum up, judge."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from dataclasses import replace
from time import monotonic

import uvloop
from rich.console import Console
from rich.live import Live

from tenantpool.cli.demo import show, stage
from tenantpool.cli.demo.accident import Accident
from tenantpool.cli.demo.cast import CAPACITY, GHOST, PROCESSES, SERVED, TENANTS, Tenant, settings
from tenantpool.cli.demo.diary import Diary, Entry
from tenantpool.cli.demo.life import Life
from tenantpool.cli.demo.listener import listen
from tenantpool.cli.demo.sampler import Sampler
from tenantpool.cli.demo.scene import Scene
from tenantpool.cli.demo.score import Score, judge, last_line, read
from tenantpool.cli.demo.troupe import Troupe
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.service.server import Server

_FRAME = 0.25
_PROGRESS = 3.0
_PATIENCE = 10.0
"""Seconds by which the end may be late, if something that must happen has not yet."""


def play(seconds: float) -> bool:
    """Run the demo for *seconds*. Return whether everything held that must."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=show.WIDTH)
    console.print("starting a PostgreSQL of our own, the lease service, and workers ...")
    with stage.running_server() as server:
        demo = Demo(server, seconds, console)
        score = uvloop.run(demo.run())
        troupe = demo.troupe
        wrong = demo.wrong + stage.audit(server, troupe.written, troupe.doubtful, demo.served)
    wrong += judge(score, in_full=not demo.stopped)
    _sum_up(console, demo, score, wrong)
    return not wrong


def _sum_up(console: Console, demo: Demo, score: Score, wrong: list[str]) -> None:
    console.print(show.board(score, console.width))
    console.print(show.life(demo.diary.entries), highlight=False, markup=False, soft_wrap=True)
    text = "\n" + ("\n".join(wrong) if wrong else show.summary(score))
    text += f"\n{show.workers(demo.troupe, demo.accident)}"
    if demo.stopped:
        text = f"stopped after {score.elapsed:.1f} of {score.seconds:g} s\n{text}"
    console.print(text, highlight=False, markup=False)
    style = "bold red" if wrong else "bold green"
    line = last_line(score, wrong)
    console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)


class Demo:
    """The part with an event loop: the service, the worker processes and the live view."""

    def __init__(self, server: EmbeddedPostgres, seconds: float, console: Console) -> None:
        self.wrong: list[str] = []
        self.stopped = False
        """Whether somebody ended it early."""
        self._server = server
        self._seconds = seconds
        self._console = console
        self._service = Server(settings(server.dsn(), server.socket_dir / "service"))
        self.troupe = Troupe(self._service.targets[0])
        self.diary = Diary(self._tell)
        self.accident = Accident(self._service, self.troupe, self.diary)
        self._life: Life | None = None

    @property
    def served(self) -> tuple[Tenant, ...]:
        """The tenants that have a database, as it is now."""
        is_there = self._server.execute(stage.HAS_GHOST)
        return (*SERVED, GHOST) if is_there else SERVED

    async def run(self) -> Score:
        """Play; afterwards ``wrong``, ``stopped``, ``troupe`` and ``accident`` say more."""
        curtain = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, curtain.set)
        listen(self.diary.hear)
        with Sampler(self._server.dsn()) as sampler:
            await self._service.start()
            try:
                async with self.troupe:
                    score = await self._act(sampler, curtain)
            finally:
                late = await self._service.stop()
        self.wrong += self.troupe.wrong + self.accident.wrong
        if late:
            self.wrong.append(f"{late} leases were not given back")
        return replace(score, most=sampler.most, looks=sampler.looks)

    async def _act(self, sampler: Sampler, curtain: asyncio.Event) -> Score:
        await self.troupe.begin()
        self._announce()
        started = self.diary.begin()
        self._life = Life(Scene(self._service, self.troupe, sampler, self.diary, self._seconds))
        accident = asyncio.create_task(self.accident.happen(self._seconds / 2))
        await self._watch(sampler, started, curtain)
        self.stopped = curtain.is_set()
        score = self._read(sampler, started)
        await self._life.end()
        if not self.stopped:
            self.wrong += self._life.wrong
        if not self.accident.has_happened:
            accident.cancel()
        await self.troupe.end()
        with suppress(asyncio.CancelledError):
            await accident
        return self._read(sampler, started).with_shares_of(score)

    def _announce(self) -> None:
        tasks = sum(tenant.tasks for tenant in TENANTS)
        self._console.print(
            f"{len(TENANTS)} tenants, {tasks} tasks in {PROCESSES + 2} worker processes,"
            f" {CAPACITY} connections, {self._seconds:g} seconds"
        )
        if self._service.http is not None:
            self._console.print(f"dashboard: {self._service.http.addresses[0]}", soft_wrap=True)

    async def _watch(self, sampler: Sampler, started: float, curtain: asyncio.Event) -> None:
        """Show how it goes until the time is over, or until the curtain falls."""
        live = show.is_live(self._console)
        with Live(console=self._console, auto_refresh=False, transient=True) as view:
            while (left := self._left(started)) > 0 and not curtain.is_set():
                score = self._read(sampler, started)
                if live:
                    picture = show.picture(score, self._console, self.diary.entries)
                    view.update(picture, refresh=True)
                elif score.elapsed > 0.1:
                    self._console.print(show.progress(score), highlight=False)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _FRAME if live else _PROGRESS)):
                        await curtain.wait()

    def _left(self, started: float) -> float:
        """Seconds until the end; a little longer as long as something has yet to happen."""
        left = started + self._seconds - monotonic()
        if left > 0 or self._life is None or self._life.is_over:
            return left
        return min(_FRAME, left + _PATIENCE)

    def _tell(self, entry: Entry) -> None:
        """Of what has just happened; a terminal shows it with the next picture."""
        if not show.is_live(self._console):
            self._console.print(str(entry), highlight=False, markup=False, soft_wrap=True)

    def _read(self, sampler: Sampler, started: float) -> Score:
        stats = self._service.manager.stats()
        elapsed = monotonic() - started
        return read(stats, elapsed, self._seconds, sampler.latest, sampler.most, sampler.looks)
