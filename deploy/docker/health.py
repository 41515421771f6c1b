"""Exit 0 if the service says that it serves, 1 if it does not, or is not there.

    python health.py [TARGET]

TARGET is where it listens with gRPC without TLS, ``unix:/folder`` or ``host:port``; without it
TENANTPOOL_TARGET says so. For a container's health check, and for probes of pods that listen on
Unix sockets only. It blocks for 4 seconds at most.
"""

import os
import sys

# What gRPC has to say about a service that is not there, is said in a line below.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

LONGEST = 4.0


def main(words: list[str]) -> int:
    """Ask, and say what was answered."""
    target = words[0] if words else os.environ.get("TENANTPOOL_TARGET", "unix:/run/tenantpool")
    if target.startswith("unix:") and not target.endswith(".sock"):
        target += "/grpc.sock"
    with grpc.insecure_channel(target) as channel:
        try:
            stub = HealthStub(channel)  # type: ignore[no-untyped-call]
            answer = stub.Check(HealthCheckRequest(), timeout=LONGEST)
        except grpc.RpcError as error:
            print(f"{target}: {error.code().name}")
            return 1
    print(f"{target}: {HealthCheckResponse.ServingStatus.Name(answer.status)}")
    return int(answer.status != HealthCheckResponse.SERVING)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
