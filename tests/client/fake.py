"""A service that does as it is told: for faults that a real one cannot be made to have.

It speaks the Unix channel and as much of a gateway as a hand-off needs. Its backends are real.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from google.rpc.status_pb2 import Status

from tenantpool.v1.lease_pb2 import (
    DELIVERY_GATEWAY,
    DELIVERY_HAND_OFF,
    AcquireLeaseRequest,
    AcquireLeaseResponse,
    GatewayAddress,
    GatewayWay,
    HandOffWay,
    Lease,
)
from tenantpool.v1.session_pb2 import (
    Beat,
    Farewell,
    HandOver,
    SessionRequest,
    SessionResponse,
    Welcome,
)

PORT = 5432


class Loan:
    """A lease of the fake, and its backend."""

    def __init__(self, lease_id: str, tenant: str, conn: psycopg.Connection[Any]) -> None:
        self.lease_id = lease_id
        self.tenant = tenant
        self.conn = conn
        self.is_handed_over = threading.Event()


class FakeService:
    """Listens in *folder*, and lends connections that *conninfo* leads to.

    What workers say is kept in ``said``. ``refusals`` are given to the next acquires, in order,
    and ``greeting`` to those who begin. While ``mute``, nothing is answered; while ``is_mad``,
    nonsense is. As older services do, it wants no findings, unless ``max_findings_size`` says so.
    """

    def __init__(self, folder: Path, conninfo: str, *, ttl: float = 30.0) -> None:
        self.folder = folder
        self.conninfo = conninfo
        self.ttl = ttl
        self.said: list[SessionRequest] = []
        self.refusals: list[Status] = []
        self.mute = False
        self.max_findings_size = 0
        self.greeting: Status | None = None
        self.is_mad = False
        self.loans: dict[str, Loan] = {}
        self.idle: list[psycopg.Connection[Any]] = []
        self.husks: set[int] = set()
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._listeners: list[socket.socket] = []
        self._sockets: list[socket.socket] = []
        self._controls: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._asked: dict[int, socket.socket] = {}

    # -- life ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._listen("session.sock", self._serve_channel)
        self._listen(f".s.PGSQL.{PORT}", self._serve_gateway)

    def stop(self) -> None:
        """As if it had been killed; its backends end, too."""
        for sock in self._listeners:
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self.hang_up()
        for thread in self._threads:
            thread.join()
        for conn in (*self.idle, *(loan.conn for loan in self.loans.values())):
            conn.close()
        for name in ("session.sock", f".s.PGSQL.{PORT}"):
            (self.folder / name).unlink()
        for box in (self._listeners, self._sockets, self._controls, self._threads, self.idle):
            box.clear()
        self.loans.clear()
        self.husks.clear()

    def hang_up(self) -> None:
        """Close every channel."""
        for sock in list(self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def notify(self, **notice: Any) -> None:
        """Say something to every worker of its own accord."""
        for sock in list(self._controls):
            self._send(sock, SessionResponse(**notice))

    def answer_now(self, request: SessionRequest) -> None:
        """Answer what was not answered while it was ``mute``."""
        self._answer(self._asked[id(request)], request)

    def heard(self, kind: str) -> list[Any]:
        """What was said of one *kind*, in order."""
        return [getattr(r, kind) for r in list(self.said) if r.WhichOneof("request") == kind]

    def _listen(self, name: str, serve: Any) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.folder / name))
        listener.listen(64)
        self._listeners.append(listener)
        self._run(self._accept, listener, serve)

    def _accept(self, listener: socket.socket, serve: Any) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            self._run(self._serve, sock, serve)

    def _serve(self, sock: socket.socket, serve: Any) -> None:
        with sock, suppress(OSError, EOFError):
            serve(sock)
        with self._lock:
            for box in (self._sockets, self._controls):
                if sock in box:
                    box.remove(sock)

    def _run(self, job: Any, *args: Any) -> None:
        thread = threading.Thread(target=job, args=args)
        self._threads.append(thread)
        thread.start()

    # -- the channel ---------------------------------------------------------------------------

    def _serve_channel(self, sock: socket.socket) -> None:
        while True:
            length = int.from_bytes(_read(sock, 4), "big")
            request = SessionRequest.FromString(_read(sock, length))
            self.said.append(request)
            self._asked[id(request)] = sock
            if self.is_mad:
                sock.sendall(b"HTTP/1.1 400 Bad Request")
            elif not self.mute or request.HasField("release"):
                self._answer(sock, request)

    def _answer(self, sock: socket.socket, request: SessionRequest) -> None:
        response = SessionResponse(sequence=request.sequence)
        fds: list[int] = []
        match request.WhichOneof("request"):
            case "hello" | "join":
                if request.HasField("hello"):
                    self._controls.append(sock)
                if self.greeting is not None:
                    response.refused.CopyFrom(self.greeting)
                else:
                    response.welcome.CopyFrom(self._welcome())
            case "acquire":
                fds = self._acquire(request.acquire, response)
            case "hand_over":
                loan = self.loans[request.hand_over.lease_id]
                loan.is_handed_over.set()
                husk = next(self._numbers)
                self.husks.add(husk)
                response.handed_over.CopyFrom(HandOver(husk=husk))
                fds = [loan.conn.fileno()]
            case "release":
                self._release(request.release.lease.lease_id, request.release.broken)
                return
            case "discard":
                self.husks -= set(request.discard.husks)
                return
            case "heartbeat":
                response.beat.CopyFrom(Beat(ttl=_seconds(self.ttl)))
            case "goodbye":
                response.farewell.CopyFrom(Farewell())
            case _:
                return
        self._send(sock, response, fds)

    def _welcome(self) -> Welcome:
        return Welcome(
            session_id="s1",
            ttl=_seconds(self.ttl),
            heartbeat=_seconds(self.ttl / 3),
            session_pass="pass",
            max_findings_size=self.max_findings_size,
        )

    def _acquire(self, wanted: AcquireLeaseRequest, response: SessionResponse) -> list[int]:
        if self.refusals:
            response.refused.CopyFrom(self.refusals.pop(0))
            return []
        loan = self._lend(wanted.tenant)
        lease = Lease(lease_id=loan.lease_id, fencing_token=next(self._numbers))
        fds = []
        if wanted.husk in self.husks and wanted.delivery in (0, DELIVERY_HAND_OFF):
            lease.hand_off.CopyFrom(HandOffWay(husk=wanted.husk))
            fds = [loan.conn.fileno()]
        else:
            assert wanted.delivery in (0, DELIVERY_GATEWAY, DELIVERY_HAND_OFF)
            lease.gateway.CopyFrom(
                GatewayWay(
                    addresses=[GatewayAddress(host=str(self.folder), port=PORT)],
                    user=loan.lease_id,
                    ticket="ticket",
                    dbname="postgres",
                )
            )
        response.acquired.CopyFrom(AcquireLeaseResponse(lease=lease))
        return fds

    def _lend(self, tenant: str) -> Loan:
        conn = self.idle.pop() if self.idle else psycopg.connect(self.conninfo, autocommit=True)
        loan = Loan(f"{tenant}/w/{next(self._numbers)}", tenant, conn)
        self.loans[loan.lease_id] = loan
        return loan

    def _release(self, lease_id: str, broken: bool) -> None:
        loan = self.loans.get(lease_id)
        if loan is None:
            return
        if broken:
            self.cut(loan)
        else:
            loan.conn.execute("discard all", prepare=False)
            self.idle.append(loan.conn)
        del self.loans[lease_id]

    def cut(self, loan: Loan) -> None:
        """End a lease's connection, whoever uses it."""
        with socket.socket(fileno=os.dup(loan.conn.fileno())) as sock, suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        loan.conn.close()

    def _send(
        self, sock: socket.socket, response: SessionResponse, fds: Iterable[int] = ()
    ) -> None:
        body = response.SerializeToString()
        with self._lock, suppress(OSError):
            socket.send_fds(sock, [len(body).to_bytes(4, "big") + body], list(fds))

    # -- the gateway ---------------------------------------------------------------------------

    def _serve_gateway(self, front: socket.socket) -> None:
        startup = _read(front, int.from_bytes(_read(front, 4), "big") - 4)
        if startup[:4] == struct.pack("!i", 80877102):
            number = int.from_bytes(startup[4:8], "big")
            loan = next(a for a in self.loans.values() if _key(a) == number)
            loan.conn.cancel_safe()
            return
        words = startup[4:].split(b"\0")
        loan = self.loans[words[words.index(b"user") + 1].decode()]
        front.sendall(_message(b"R", struct.pack("!i", 3)))
        _read(front, 1)
        _read(front, int.from_bytes(_read(front, 4), "big") - 4)
        front.sendall(_greeting(loan))
        while not loan.is_handed_over.is_set():
            if select.select([front], [], [], 0.005)[0]:
                if not loan.is_handed_over.is_set():
                    self._splice(front, loan)
                return

    def _splice(self, front: socket.socket, loan: Loan) -> None:
        with socket.socket(fileno=os.dup(loan.conn.fileno())) as back:
            peers = {front: back, back: front}
            while True:
                for sock in select.select([front, back], [], [])[0]:
                    data = sock.recv(65536)
                    if not data or (sock is front and data[:1] == b"X"):
                        return
                    peers[sock].setblocking(True)
                    peers[sock].sendall(data)


def _key(loan: Loan) -> int:
    return 7_000_000 + loan.conn.info.backend_pid


def _greeting(loan: Loan) -> bytes:
    names = (
        *("client_encoding", "DateStyle", "TimeZone", "server_version", "server_encoding"),
        *("integer_datetimes", "standard_conforming_strings", "IntervalStyle"),
    )
    said = _message(b"R", struct.pack("!i", 0))
    for name in names:
        value = loan.conn.info.parameter_status(name)
        if value is not None:
            said += _message(b"S", f"{name}\0{value}\0".encode())
    said += _message(b"K", struct.pack("!ii", _key(loan), 1))
    return said + _message(b"Z", b"I")


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _read(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = sock.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _seconds(value: float) -> Any:
    from google.protobuf.duration_pb2 import Duration

    duration = Duration()
    duration.FromNanoseconds(int(value * 1e9))
    return duration
