"""The play from curtain to curtain: start everything, let the tenants work, sum up, judge."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from dataclasses import replace
from time import monotonic

import uvloop
from rich.console import Console
from rich.live import Live

from tenantpool.cli.demo import show, stage
from tenantpool.cli.demo.accident import Accident
from tenantpool.cli.demo.cast import CAPACITY, PROCESSES, TENANTS, settings
from tenantpool.cli.demo.sampler import Sampler
from tenantpool.cli.demo.score import Score, judge, last_line, read
from tenantpool.cli.demo.troupe import Troupe
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.service.server import Server

_FRAME = 0.25
_PROGRESS = 3.0


def play(seconds: float) -> bool:
    """Run the demo for *seconds*. Return whether everything held that must."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=show.WIDTH)
    logging.getLogger("tenantpool").setLevel(logging.ERROR)  # the ghost's failures are planned
    console.print("starting a PostgreSQL of our own, the lease service, and workers ...")
    with stage.running_server() as server:
        demo = Demo(server, seconds, console)
        score = uvloop.run(demo.run())
        wrong = demo.wrong + stage.audit(server, demo.troupe.written, demo.troupe.doubtful)
    wrong += judge(score, in_full=not demo.stopped)
    _sum_up(console, demo, score, wrong)
    return not wrong


def _sum_up(console: Console, demo: Demo, score: Score, wrong: list[str]) -> None:
    console.print(show.board(score, console.width))
    text = "\n".join(wrong) if wrong else show.summary(score)
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
        self.accident = Accident(self._service, self.troupe)

    async def run(self) -> Score:
        """Play; afterwards ``wrong``, ``stopped``, ``troupe`` and ``accident`` say more."""
        curtain = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, curtain.set)
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
        started = monotonic()
        accident = asyncio.create_task(self.accident.happen(self._seconds / 2))
        await self._watch(sampler, started, curtain)
        self.stopped = curtain.is_set()
        score = self._read(sampler, started)
        if not self.accident.has_happened:
            accident.cancel()
        await self.troupe.end()
        with suppress(asyncio.CancelledError):
            await accident
        return self._read(sampler, started).with_shares_of(score)

    def _announce(self) -> None:
        tasks = sum(tenant.tasks for tenant in TENANTS)
        self._console.print(
            f"{len(TENANTS)} tenants, {tasks} tasks in {PROCESSES + 1} worker processes,"
            f" {CAPACITY} connections, {self._seconds:g} seconds"
        )
        if self._service.http is not None:
            self._console.print(f"dashboard: {self._service.http.addresses[0]}", soft_wrap=True)

    async def _watch(self, sampler: Sampler, started: float, curtain: asyncio.Event) -> None:
        """Show how it goes until the time is over, or until the curtain falls."""
        live = show.is_live(self._console)
        with Live(console=self._console, auto_refresh=False, transient=True) as view:
            while (left := started + self._seconds - monotonic()) > 0 and not curtain.is_set():
                score = self._read(sampler, started)
                if live:
                    view.update(show.picture(score, self._console.width), refresh=True)
                elif score.elapsed > 0.1:
                    self._console.print(show.progress(score), highlight=False)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _FRAME if live else _PROGRESS)):
                        await curtain.wait()

    def _read(self, sampler: Sampler, started: float) -> Score:
        stats = self._service.manager.stats()
        elapsed = monotonic() - started
        return read(stats, elapsed, self._seconds, sampler.latest, sampler.most, sampler.looks)
