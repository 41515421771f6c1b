"""Worker processes: one function in many forks of a fresh interpreter, all at the same time.

    found = crew("benchmarks.workers:work", 64, {"seed": 7}, warmup=1, seconds=3)

A process between this one and the workers imports what they need, once, before it forks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from benchmarks.served import ROOT, Served

_SETTLE = 0.2
_PER_WORKER = 0.005
"""Seconds from the first fork to the beginning of the warm-up."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What one worker is to do: begin at once, count from *starts* to *ends* (monotonic)."""

    number: int
    starts: float
    ends: float
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What each worker returned, and what the service used while they were counted."""

    workers: list[Any]
    seconds: float
    cpu_seconds: float
    grown_bytes: int
    """Memory of the service at the end, beyond that before the workers began."""


def crew(
    function: str,
    count: int,
    spec: dict[str, Any],
    *,
    warmup: float,
    seconds: float,
    served: Served | None = None,
) -> Found:
    """Run *function*, a ``Callable[[Shift], Any]`` named ``module:name``, in *count* processes.

    What it takes and returns is JSON. Raises CalledProcessError if a worker fails.
    """
    order = {"function": function, "count": count, "spec": spec, "warmup": warmup}
    order |= {"seconds": seconds, "pid": served.pid if served is not None else None}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.crew"],
        cwd=ROOT,
        input=json.dumps(order).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return Found(**json.loads(done.stdout))


# -- the process between ---------------------------------------------------------------------------


def main() -> None:
    order = json.load(sys.stdin)
    module, _, name = order["function"].partition(":")
    function = getattr(import_module(module), name)
    served = Served.of(order["pid"]) if order["pid"] is not None else None
    before = served.resident_bytes() if served is not None else 0
    begins = time.monotonic() + _SETTLE + _PER_WORKER * order["count"]
    starts = begins + order["warmup"]
    ends = starts + order["seconds"]
    workers = [
        _fork(function, Shift(number, starts, ends, order["spec"]))
        for number in range(order["count"])
    ]
    used = [_cpu_at(served, moment) for moment in (starts, ends)]
    grown = served.resident_bytes() - before if served is not None else 0
    results = [_result(*worker) for worker in workers]
    json.dump(asdict(Found(results, order["seconds"], used[1] - used[0], grown)), sys.stdout)


def _cpu_at(served: Served | None, moment: float) -> float:
    time.sleep(max(0.0, moment - time.monotonic()))
    return served.cpu_seconds() if served is not None else 0.0


def _fork(function: Callable[[Shift], Any], shift: Shift) -> tuple[int, int]:
    """Start a worker; return its process id and where its result comes from."""
    output, ours = os.pipe()
    pid = os.fork()
    if pid:
        os.close(ours)
        return pid, output
    code = 1
    try:
        os.close(output)
        signal.alarm(int(shift.ends - time.monotonic()) + 60)  # whatever happens to the others
        with os.fdopen(ours, "w") as file:
            json.dump(function(shift), file)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _result(pid: int, output: int) -> Any:
    with os.fdopen(output) as file:
        said = file.read()
    _, status = os.waitpid(pid, 0)
    if status:
        raise SystemExit(f"a worker failed: {status}")
    return json.loads(said)


if __name__ == "__main__":
    main()
