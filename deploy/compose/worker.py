"""A worker: leases a connection of each tenant in turn, and writes an order, until it is told.

    python worker.py TENANT...

TENANTPOOL_TARGET says where the service is; TENANTPOOL_TOKEN, or the file that
TENANTPOOL_TOKEN_FILE names, who asks. SIGTERM ends it after the lease it holds.
"""

import itertools
import os
import signal
import sys
import threading
from pathlib import Path

from tenantpool import TenantpoolError
from tenantpool.client import LeaseClient

PAUSE = 0.1
"""Seconds between orders."""


def main(tenants: list[str]) -> int:
    """Work until told to end; return the exit code."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    file = os.environ.get("TENANTPOOL_TOKEN_FILE")
    token = Path(file).read_text().strip() if file else None
    written = 0
    with LeaseClient(token=token) as leases:
        for tenant in itertools.cycle(tenants):
            if told.wait(PAUSE):
                break
            written += write_order(leases, tenant)
    print(f"orders written: {written}", flush=True)
    return 0


def write_order(leases: LeaseClient, tenant: str) -> bool:
    """Return whether it could be written; if not, say why."""
    try:
        with leases.connection(tenant, timeout=2) as conn:  # commits on success
            statement = "insert into orders (item, worker) values (%s, %s)"
            conn.execute(statement, ["anvil", os.uname().nodename])
    except TenantpoolError as error:  # refused, or the service is not there, or ended the lease
        print(error, flush=True)
    else:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
