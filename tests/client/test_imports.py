"""A worker imports what it needs, and not what the service is made of."""

from __future__ import annotations

import subprocess
import sys

LIST = """
import sys, tenantpool.client, tenantpool.insight
print(*(name for name in sys.modules if name.startswith("tenantpool.")))
"""


def test_a_worker_imports_neither_the_manager_nor_the_service() -> None:
    listed = subprocess.run(
        [sys.executable, "-c", LIST], capture_output=True, text=True, check=True, timeout=60
    )
    parts = {name.split(".")[1] for name in listed.stdout.split()}
    assert "client" in parts
    assert not parts & {"manager", "pools", "service", "core", "config", "gateway", "observe"}
