"""The service's Unix channel with next to nothing around it, so that the service is measured."""

from __future__ import annotations

import os
import socket
import struct
from types import TracebackType
from typing import Self

from psycopg.conninfo import make_conninfo

from benchmarks.bouncer import PLAIN
from benchmarks.served import GATEWAY_PORT, Served
from tenantpool.v1.lease_pb2 import DELIVERY_GATEWAY, DELIVERY_HAND_OFF, GatewayWay
from tenantpool.v1.session_pb2 import Hello, Join, SessionRequest, SessionResponse, Welcome

HEAD = struct.Struct("!I")
_MOST_DESCRIPTORS = 1


def hello(name: str) -> SessionRequest:
    """What begins the session of a worker."""
    deliveries = [DELIVERY_HAND_OFF, DELIVERY_GATEWAY]
    return SessionRequest(hello=Hello(worker=name, deliveries=deliveries))


def frame(request: SessionRequest) -> bytes:
    """*request* as it goes over the channel."""
    message = request.SerializeToString()
    return HEAD.pack(len(message)) + message


class Line:
    """A channel whose calls block; a context manager. Notices that come in are skipped."""

    def __init__(self, served: Served) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(served.channel)
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def greet(self, request: SessionRequest) -> Welcome:
        """Say Hello, or Join."""
        request.sequence = 1
        self.socket.sendall(frame(request))
        return self.hear(1).welcome

    def join(self, welcome: Welcome) -> None:
        """Become a further channel of that session."""
        self.greet(SessionRequest(join=Join(session_pass=welcome.session_pass)))

    def hear(self, sequence: int) -> SessionResponse:
        """The answer to the request of that number; a socket that comes along is closed."""
        while True:
            response = SessionResponse.FromString(self._hear())
            if response.HasField("refused"):
                raise RuntimeError(f"refused: {response.refused.message}")
            if response.sequence == sequence:
                return response

    def _hear(self) -> bytes:
        while len(self._read) < 4 or len(self._read) < 4 + HEAD.unpack_from(self._read)[0]:
            data, descriptors, _, _ = socket.recv_fds(self.socket, 65536, _MOST_DESCRIPTORS)
            for descriptor in descriptors:
                os.close(descriptor)
            if not data:
                raise RuntimeError("the service has closed the channel")
            self._read += data
        end = 4 + HEAD.unpack_from(self._read)[0]
        message, self._read = self._read[4:end], self._read[end:]
        return message


def connect_to_gateway(
    served: Served, way: GatewayWay, *, is_patient: bool = True
) -> socket.socket:
    """Start up; *is_patient*: wait for the connection, too, and not only to be let in."""
    end = socket.socket(socket.AF_UNIX)
    end.connect(served.gateway)
    options = f"user\0{way.user}\0database\0{way.dbname}\0\0".encode()
    end.sendall(struct.pack("!ii", len(options) + 8, 196608) + options)
    _expect(end, b"R", struct.pack("!i", 3))  # a password, please
    end.sendall(b"p" + struct.pack("!i", len(way.ticket) + 5) + way.ticket.encode() + b"\0")
    _expect(end, b"R", struct.pack("!i", 0))
    while is_patient and _message(end)[0] != b"Z":
        pass
    return end


def _expect(end: socket.socket, kind: bytes, body: bytes) -> None:
    if (found := _message(end)) != (kind, body):
        raise RuntimeError(f"the gateway said {found}")


def _message(end: socket.socket) -> tuple[bytes, bytes]:
    head = end.recv(5, socket.MSG_WAITALL)
    return head[:1], end.recv(struct.unpack("!i", head[1:])[0] - 4, socket.MSG_WAITALL)


class Pass:
    """A session whose pass opens the gateway, as of ``tenantpool exec``; a context manager."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._line = Line(served)
        self._welcome = self._line.greet(hello("benchmark"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._line.__exit__(kind, error, traceback)

    def way(self, tenant: str) -> GatewayWay:
        """What takes a lease of *tenant* with each connection."""
        user = f"{tenant}@{self._welcome.session_id}"
        return GatewayWay(user=user, ticket=self._welcome.session_pass)

    def conninfo(self, tenant: str) -> str:
        """The same for libpq."""
        way = self.way(tenant)
        return make_conninfo(
            host=str(self._served.folder),
            port=GATEWAY_PORT,
            user=way.user,
            password=way.ticket,
            dbname=way.dbname,
            **PLAIN,
        )
