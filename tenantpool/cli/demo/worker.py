"""A worker process: ``python -m tenantpool.cli.demo.worker JOB``, started by the demo.

It says on stdout, in a line of JSON each, that it is ready, every order it has written (if the job
says so), what query insight has found (in a careless one), and at its end what it has done. It is
told on stdin to begin, what else to do, and to end; and it does not outlive who tells.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tenantpool.cli.demo.careless import OPTIONS, Careless
from tenantpool.cli.demo.listener import listen
from tenantpool.cli.demo.work import Work
from tenantpool.client import AsyncLeaseClient
from tenantpool.insight import Insight
from tenantpool.insight.finding import KINDS

GO, END = b"go\n", b"end\n"
CALM, REPEAT, FORGET = b"calm\n", b"repeat\n", b"forget\n"
"""What it is told."""


@dataclass(frozen=True)
class Job:
    """What a worker is told."""

    name: str
    target: str
    tasks: dict[str, int]
    """How many tasks work for each tenant."""
    delivery: str = ""
    tells_orders: bool = False
    """Whether it tells of every order at once: it may be killed."""
    is_careless: bool = False
    """Whether query insight looks at it, and it does what that finds, when it is told to."""


@dataclass(frozen=True)
class Report:
    """What a worker has done."""

    written: dict[str, int] = field(default_factory=dict)
    """Orders committed, by tenant."""
    wrong: list[str] = field(default_factory=list)
    delivered: dict[str, int] = field(default_factory=dict)
    """Leases by the way their connection came."""


async def work(job: Job) -> Report:
    """Do the *job* until it is over. Raises ServiceUnavailable if there is no service."""
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    listen(_tell_finding)
    insight = Insight(OPTIONS) if job.is_careless else None
    async with AsyncLeaseClient(
        job.target, delivery=job.delivery, worker=job.name, insight=insight
    ) as leases:
        await leases.open()
        _say({"ready": True})
        await _obey(orders, {}, until=GO)
        done = Work(leases, job.tasks, _tell_order if job.tells_orders else _keep_quiet)
        careless = Careless(leases)
        duties = {CALM: done.calm, REPEAT: careless.repeat, FORGET: careless.forget}
        await _obey(orders, duties, until=END)
        await careless.end()
        await done.end()
        stats = leases.stats()
    delivered = {job.delivery or "hand-off": stats.acquired, "parked": stats.reused}
    return Report(dict(done.written), done.wrong, delivered)


async def _obey(
    orders: asyncio.StreamReader, duties: Mapping[bytes, Callable[[], None]], *, until: bytes
) -> None:
    """Do what each word says. Without a demo there is nobody to work for, or to report to."""
    while (word := await orders.readline()) != until:
        if word not in duties:
            os._exit(1)
        duties[word]()


def _tell_order(tenant: str) -> None:
    _say({"wrote": tenant})


def _tell_finding(event: str, fields: Mapping[str, object]) -> None:
    if event in KINDS:
        _say({"found": event, "fields": fields})


def _keep_quiet(tenant: str) -> None:
    """The report at the end is enough."""


def _say(message: dict[str, Any]) -> None:
    """At once, and not through a buffer that is lost with the process."""
    os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    _say({"report": asdict(asyncio.run(work(Job(**json.loads(sys.argv[1])))))})
