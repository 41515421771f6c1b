"""10,000 configured tenants, of which 1,000 are asked for: memory, threads and tasks.

Each measurement is a process of its own, ``scale_process.py``, so that nothing else is in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Effort, Result, make_logins, postgres, progress

ROOT = Path(__file__).parents[1]
CAPACITY = 50
BYTES_PER_TENANT = 1024
MEGABYTES_IN_ALL = 60


@dataclass(frozen=True, slots=True)
class Size:
    """How many tenants are in the file, and how many are asked for."""

    configured: int
    touched: int


SIZES = {
    Effort.FULL: Size(configured=10_000, touched=1_000),
    Effort.QUICK: Size(configured=10_000, touched=300),
    Effort.TINY: Size(configured=50, touched=12),
}


def run(effort: Effort) -> Result:
    """Memory of the configuration, then of a manager at work, on threads and on tasks."""
    size = SIZES[effort]
    title = f"{size.configured:,} configured tenants, {size.touched:,} touched"
    result = Result("scale", title)
    names = [f"scale_{number}" for number in range(size.configured)]
    with postgres(CAPACITY + 20) as server, tempfile.TemporaryDirectory() as folder:
        make_logins(server, names[: size.touched])
        file = Path(folder, "tenantpool.yaml")
        file.write_text(_configuration(server.dsn(), names))
        progress("memory of the configuration")
        configured = _measure("configured", file, size)
        progress("a manager on threads")
        threads = _measure("threads", file, size)
        progress("a manager on tasks")
        tasks = _measure("tasks", file, size)
    per_tenant = configured["bytes"] / size.configured
    result.at_most("memory of a tenant that is only configured", per_tenant, BYTES_PER_TENANT, " B")
    for kind, found in (("threads", threads), ("tasks", tasks)):
        result.at_most(f"{kind}: memory above imports", found["megabytes"], MEGABYTES_IN_ALL, " MB")
    for kind, found in (("threads", threads), ("tasks", tasks)):
        few, many = found["workers_few"], found["workers_many"]
        result.holds(
            f"{kind} after {found['few']} tenants, and after {size.touched:,}",
            f"{few}, {many}",
            "constant",
            many <= few,
        )
    result.raw = {"configured": configured, "threads": threads, "tasks": tasks}
    result.notes.append(
        f"The tenants are listed in a YAML file; the touched ones have a login role and so a pool"
        f" each, and take turns in a capacity of {CAPACITY}. Memory in all is resident memory,"
        " which includes what reading the file needed; a configured tenant is what stays allocated."
    )
    return result


def _configuration(dsn: str, names: list[str]) -> str:
    """YAML is a superset of JSON, but people write it like this."""
    lines = [
        f"databases: {{main: {{conninfo: {json.dumps(dsn)}, capacity: {CAPACITY}}}}}",
        "tiers: {basic: {min_size: 0}}",
        "tenants:",
        *(f"  {name}: {{tier: pro, dbname: postgres, user: {name}}}" for name in names),
    ]
    return "\n".join(lines)


def _measure(what: str, file: Path, size: Size) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.scale_process", what, str(file), str(size.touched)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
