"""The play from curtain to curtain: start the server, let the tenants work, sum up, judge."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from rich.console import Console
from rich.live import Live

from tenantpool import AsyncManager
from tenantpool.cli.demo import show, stage
from tenantpool.cli.demo.cast import CAPACITY, SERVED, TENANTS, settings
from tenantpool.cli.demo.sampler import Sampler
from tenantpool.cli.demo.score import Score, judge, last_line, read
from tenantpool.cli.demo.work import Work
from tenantpool.embedded import EmbeddedPostgres

_FRAME = 0.25
_PROGRESS = 3.0


def play(seconds: float) -> bool:
    """Run the demo for *seconds*. Return whether everything held that must."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=show.WIDTH)
    logging.getLogger("tenantpool").setLevel(logging.ERROR)  # the ghost's failures are planned
    workers = sum(tenant.workers for tenant in TENANTS)
    console.print("starting a PostgreSQL of our own ...")
    with stage.running_server() as server:
        console.print(
            f"{len(TENANTS)} tenants, {workers} tasks, {CAPACITY} connections, {seconds:g} seconds"
        )
        demo = Demo(server, seconds, console)
        score = asyncio.run(demo.run())
        wrong = demo.wrong + stage.audit(server, demo.written)
    wrong += judge(score, in_full=not demo.stopped)
    _sum_up(console, score, wrong, stopped=demo.stopped)
    return not wrong


def _sum_up(console: Console, score: Score, wrong: list[str], *, stopped: bool) -> None:
    console.print(show.board(score, console.width))
    text = "\n".join(wrong) if wrong else show.summary(score)
    if stopped:
        text = f"stopped after {score.elapsed:.1f} of {score.seconds:g} s\n{text}"
    console.print(text, highlight=False, markup=False)
    style = "bold red" if wrong else "bold green"
    line = last_line(score, wrong)
    console.print(line, style=style, highlight=False, markup=False, soft_wrap=True)


class Demo:
    """The part with an event loop: the manager, the workers and the live view."""

    def __init__(self, server: EmbeddedPostgres, seconds: float, console: Console) -> None:
        self.wrong: list[str] = []
        self.written: dict[str, int] = dict.fromkeys((tenant.name for tenant in SERVED), 0)
        self.stopped = False
        """Whether somebody ended it early."""
        self._server = server
        self._seconds = seconds
        self._console = console

    async def run(self) -> Score:
        """Play; afterwards ``written``, ``wrong`` and ``stopped`` say more."""
        curtain = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, curtain.set)
        with Sampler(self._server.dsn()) as sampler:
            async with AsyncManager(settings(self._server.dsn())) as manager:
                started = monotonic()
                work = Work(manager)
                await self._watch(manager, sampler, started, curtain)
                self.stopped = curtain.is_set()
                score = self._read(manager, sampler, started)
                await work.end()
                score = self._read(manager, sampler, started).with_shares_of(score)
        self.written |= work.written
        self.wrong += work.wrong
        return replace(score, most=sampler.most, looks=sampler.looks)

    async def _watch(
        self, manager: AsyncManager, sampler: Sampler, started: float, curtain: asyncio.Event
    ) -> None:
        """Show how it goes until the time is over, or until the curtain falls."""
        live = show.is_live(self._console)
        with Live(console=self._console, auto_refresh=False, transient=True) as view:
            while (left := started + self._seconds - monotonic()) > 0 and not curtain.is_set():
                score = self._read(manager, sampler, started)
                if live:
                    view.update(show.picture(score, self._console.width), refresh=True)
                elif score.elapsed > 0.1:
                    self._console.print(show.progress(score), highlight=False)
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _FRAME if live else _PROGRESS)):
                        await curtain.wait()

    def _read(self, manager: AsyncManager, sampler: Sampler, started: float) -> Score:
        elapsed = monotonic() - started
        return read(
            manager.stats(), elapsed, self._seconds, sampler.latest, sampler.most, sampler.looks
        )
