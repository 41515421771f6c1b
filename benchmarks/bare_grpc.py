"""A gRPC server that grants everything at once and does nothing else: what gRPC itself costs.

It speaks enough of LeaseService for the workers of ``rate_load.py``, and runs as ``tenantpool
serve`` does: on uvloop, with the same listener.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from benchmarks.served import ROOT, Served
from tenantpool.v1.lease_pb2 import AcquireLeaseResponse, HandOffWay, Lease, ReleaseLeaseResponse
from tenantpool.v1.lease_service_pb2_grpc import (
    LeaseServiceServicer,
    add_LeaseServiceServicer_to_server,
)
from tenantpool.v1.session_pb2 import SessionRequest, SessionResponse

_EXPERIMENTS = "-event_engine_listener"
"""As ``tenantpool serve`` sets it."""
_START_TIMEOUT = 20.0

LEASE = Lease(lease_id="acme/local/1", fencing_token=1, hand_off=HandOffWay(husk=1))
_ACQUIRED = AcquireLeaseResponse(lease=LEASE)
_RELEASED = ReleaseLeaseResponse()


@contextmanager
def bare_grpc() -> Iterator[Served]:
    """Run it in a process of its own; only ``Served.grpc`` is there."""
    with tempfile.TemporaryDirectory(prefix="tp-") as name:
        served = Served(Path(name), 0)
        command = [sys.executable, "-m", "benchmarks.bare_grpc", served.grpc]
        environment = {**os.environ, "GRPC_EXPERIMENTS": _EXPERIMENTS, "GRPC_VERBOSITY": "NONE"}
        process = subprocess.Popen(command, cwd=ROOT, env=environment)
        try:
            _wait(process, Path(served.grpc.removeprefix("unix:")))
            yield Served(served.folder, process.pid)
        finally:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], path: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the bare gRPC server did not start")
        time.sleep(0.02)


# -- the process -----------------------------------------------------------------------------------


class _Service(LeaseServiceServicer):
    async def AcquireLease(self, request: object, context: object) -> AcquireLeaseResponse:
        return _ACQUIRED

    async def ReleaseLease(self, request: object, context: object) -> ReleaseLeaseResponse:
        return _RELEASED

    async def Session(self, requests: AsyncIterator[SessionRequest], context: Any) -> None:
        write: Callable[[SessionResponse], Any] = context.write
        async for request in requests:
            if request.sequence:
                await write(SessionResponse(sequence=request.sequence, acquired=_ACQUIRED))


async def _serve(address: str) -> None:
    server = grpc.aio.server()
    add_LeaseServiceServicer_to_server(_Service(), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve(sys.argv[1]))
