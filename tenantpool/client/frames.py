"""Messages on the Unix channel: each after its length, sockets beside them."""

from __future__ import annotations

import os
import socket
import struct
from array import array
from collections import deque
from typing import NamedTuple

from tenantpool.v1.lease_pb2 import LeaseRef, ReleaseLeaseRequest
from tenantpool.v1.session_pb2 import SessionRequest, SessionResponse

_HEAD = struct.Struct("!I")
_CHUNK = 65536
_LONGEST = 1 << 20
_DESCRIPTOR_SIZE = array("i").itemsize
_ROOM_FOR_SOCKETS = socket.CMSG_SPACE(16 * _DESCRIPTOR_SIZE)
_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Answer(NamedTuple):
    """What the service said, and the descriptor that came with it (-1: none)."""

    response: SessionResponse
    fd: int = -1


def pack(request: SessionRequest) -> bytes:
    """The *request* as it goes over a channel."""
    body = request.SerializeToString()
    return _HEAD.pack(len(body)) + body


def carries_socket(response: SessionResponse) -> bool:
    """Whether a socket belongs to the *response*."""
    return response.acquired.lease.HasField("hand_off") or response.HasField("handed_over")


def refund(response: SessionResponse) -> SessionRequest | None:
    """What gives back the lease that nobody waits for any more, if the *response* grants one."""
    if not response.HasField("acquired"):
        return None
    lease = response.acquired.lease
    ref = LeaseRef(lease_id=lease.lease_id, fencing_token=lease.fencing_token)
    return SessionRequest(release=ReleaseLeaseRequest(lease=ref))


class Inbox:
    """Cuts what comes in on a channel into answers. One reader at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._rest = b""
        self._fds: deque[int] = deque()

    def read(self) -> list[Answer]:
        """The answers that have come in by now, without blocking.

        Raises EOFError at the end of the stream, BlockingIOError if nothing is there, other
        OSErrors as they come, and ValueError when this is no channel of the service.
        """
        data, ancillary, _, _ = self._sock.recvmsg(_CHUNK, _ROOM_FOR_SOCKETS, _FLAGS)
        if ancillary:
            self._keep(ancillary)
        if not data:
            raise EOFError("the service has closed the channel")
        if self._rest:
            data = self._rest + data
        answers: list[Answer] = []
        start, end = 0, len(data)
        while end - start >= 4:
            (length,) = _HEAD.unpack_from(data, start)
            if length > _LONGEST:
                raise ValueError("the service said something that is no message")
            if end - start < 4 + length:
                break
            answers.append(self._answer(data[start + 4 : start + 4 + length]))
            start += 4 + length
        self._rest = data[start:]
        return answers

    def close(self) -> None:
        """Close the descriptors that belong to no answer."""
        while self._fds:
            os.close(self._fds.popleft())

    def _keep(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._fds.extend(array("i", data[: len(data) - len(data) % _DESCRIPTOR_SIZE]))

    def _answer(self, body: bytes) -> Answer:
        response = SessionResponse.FromString(body)
        # Sockets come in the order of their messages, and not after them.
        if self._fds and carries_socket(response):
            return Answer(response, self._fds.popleft())
        return Answer(response)
