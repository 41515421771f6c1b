"""A worker process: ``python -m tenantpool.cli.demo.worker JOB``, started by the demo.

It says on stdout, in a line of JSON each, that it is ready, every order it has written (if the job
says so), and at its end what it has done. It is told on stdin to begin and to end, and does not
outlive who tells.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

from tenantpool.cli.demo.work import Work
from tenantpool.client import AsyncLeaseClient

GO, END = b"go\n", b"end\n"
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
    async with AsyncLeaseClient(job.target, delivery=job.delivery, worker=job.name) as leases:
        await leases.open()
        _say({"ready": True})
        await _hear(orders, GO)
        done = Work(leases, job.tasks, _tell_order if job.tells_orders else _keep_quiet)
        await _hear(orders, END)
        await done.end()
        stats = leases.stats()
    delivered = {job.delivery or "hand-off": stats.acquired, "parked": stats.reused}
    return Report(dict(done.written), done.wrong, delivered)


async def _hear(orders: asyncio.StreamReader, word: bytes) -> None:
    """Wait for the *word*. Without a demo there is nobody to work for, or to report to."""
    if await orders.readline() != word:
        os._exit(1)


def _tell_order(tenant: str) -> None:
    _say({"wrote": tenant})


def _keep_quiet(tenant: str) -> None:
    """The report at the end is enough."""


def _say(message: dict[str, Any]) -> None:
    """At once, and not through a buffer that is lost with the process."""
    os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    _say({"report": asdict(asyncio.run(work(Job(**json.loads(sys.argv[1])))))})
