"""Where the service is, and how to prove who asks."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

TARGET = "TENANTPOOL_TARGET"
TOKEN = "TENANTPOOL_TOKEN"

_CHANNEL = "session.sock"


@dataclass(frozen=True)
class TLS:
    """Files in PEM form: *ca* to know the service by (empty: the system's), and, for a service that
    asks for it, a certificate *cert* of the worker with its *key*."""

    ca: str | Path = ""
    cert: str | Path = ""
    key: str | Path = ""


@dataclass(frozen=True)
class Target:
    """A place where the service listens: ``unix:/folder``, ``unix:/folder/grpc.sock``,
    ``host:port`` or any other name that gRPC knows."""

    name: str
    token: str = field(default="", repr=False)
    tls: TLS | None = None

    @classmethod
    def find(cls, name: str | None, token: str | None, tls: TLS | None) -> Target:
        """What is not given comes from the environment. Raises ValueError without a name."""
        name = name or os.environ.get(TARGET, "")
        if not name:
            raise ValueError(f"no target: name the service's address, or set {TARGET}")
        return cls(name, os.environ.get(TOKEN, "") if token is None else token, tls)

    @property
    def host(self) -> str:
        """The host that it names; empty for a Unix socket."""
        if self.name.startswith("unix:"):
            return ""
        place = self.name.rpartition("/")[2]
        for scheme in ("dns:", "ipv4:", "ipv6:"):
            place = place.removeprefix(scheme)
        host, colon, _ = place.rpartition(":")
        return (host if colon else place).strip("[]")

    def channel(self) -> str:
        """Path of the Unix channel; empty: gRPC is the way. Looks at the file system.

        A socket that is not there now may be there when the service has been started.
        """
        if not self.name.startswith("unix:"):
            return ""
        path = Path("/" + self.name.removeprefix("unix:").lstrip("/"))
        if path.name == _CHANNEL:
            return str(path)
        if path.suffix != ".sock":
            return str(path / _CHANNEL)
        channel = path.with_name(_CHANNEL)
        return str(channel) if channel.exists() or not path.exists() else ""


def worker_name() -> str:
    """Names this process to people: host, program, process id."""
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    return f"{socket.gethostname()[:24]} {program[:24]} {os.getpid()}"
