"""Sessions over a Unix socket: as over gRPC, but a message may carry a connection's socket.

A message is a length, four bytes big-endian, and a SessionRequest or SessionResponse of that many
bytes. Nothing here waits: what can't be written at once is kept, up to a limit.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from google.protobuf.message import DecodeError

from tenantpool.errors import ConfigError, TenantpoolError
from tenantpool.journal import logger
from tenantpool.status import to_status
from tenantpool.v1.session_pb2 import SessionRequest, SessionResponse

from .conversation import Conversation
from .desk import Desk
from .identity import Identity

NAME = "session.sock"

_HEAD = struct.Struct("!I")
_CREDENTIALS = struct.Struct("3i")
_DESCRIPTOR = struct.Struct("i")
_CHUNK = 65536
_MOST_UNSENT = 1 << 20
"""Bytes; a worker that does not read is let go of."""

Authenticate = Callable[[int, str], Identity]
"""Tells who a Unix user with a token (may be empty) is. Raises NotAuthenticated."""


class ChannelServer:
    """Listens for workers at ``session.sock`` in the service's folder."""

    def __init__(self, desk: Desk, path: Path, authenticate: Authenticate) -> None:
        self.path = path
        self._desk = desk
        self._authenticate = authenticate
        self._listener: socket.socket | None = None
        self._channels: set[_Channel] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}, {len(self._channels)} channels>"

    def start(self) -> None:
        """Listen. Does not block. Raises ConfigError if the socket cannot be had."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(str(self.path))
            listener.listen(1024)
        except OSError as error:
            listener.close()
            raise ConfigError(str(self.path), f"cannot listen: {error.strerror}") from None
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def stop_listening(self) -> None:
        """Take no further channels. Does not block."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Hang up on everybody. Does not block."""
        self.stop_listening()
        for channel in list(self._channels):
            channel.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                logger.warning("a channel could not be accepted: %s", error)
                return
            credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            _, uid, _ = _CREDENTIALS.unpack(credentials)
            channel = _Channel(
                sock,
                self._desk,
                partial(self._authenticate, uid),
                self._channels.discard,
            )
            self._channels.add(channel)


class _Channel:
    """One connected channel."""

    def __init__(
        self,
        sock: socket.socket,
        desk: Desk,
        authenticate: Callable[[str], Identity],
        closed: Callable[[_Channel], None],
    ) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._closed = closed
        self._longest = desk.rules.max_request_size
        self._loop = asyncio.get_running_loop()
        self._read = b""
        self._unsent: deque[tuple[bytes, int]] = deque()
        self._unsent_bytes = 0
        self._conversation = Conversation(
            desk, self._send, authenticate, self._end, passes_sockets=True
        )
        self._loop.add_reader(sock, self._readable)
        self._deadline = self._loop.call_later(desk.rules.startup_timeout, self._check_introduced)

    # -- reading -------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            chunk = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self.close()
            return
        data = self._read + chunk if self._read else chunk
        start, end = 0, len(data)
        while end - start >= 4:
            (length,) = _HEAD.unpack_from(data, start)
            if length > self._longest:
                self.close()
                return
            if end - start < 4 + length:
                break
            if not self._hear(data[start + 4 : start + 4 + length]):
                return
            start += 4 + length
        self._read = data[start:]

    def _hear(self, message: bytes) -> bool:
        """Return whether the channel is still open."""
        try:
            request = SessionRequest.FromString(message)
        except DecodeError:
            self.close()
            return False
        self._conversation.hear(request)
        return not self._conversation.is_over

    def _check_introduced(self) -> None:
        if not self._conversation.is_introduced:
            self.close()

    # -- writing -------------------------------------------------------------------------------

    def _send(self, response: SessionResponse, carried: socket.socket | None) -> None:
        message = response.SerializeToString()
        data = _HEAD.pack(len(message)) + message
        if self._unsent:
            self._keep(data, carried)
            return
        try:
            if carried is None:
                sent = self._socket.send(data)
            else:
                sent = _send_along(self._socket, data, carried.fileno())
        except BlockingIOError:
            self._keep(data, carried)
        except OSError:
            self.close()
        else:
            if sent < len(data):
                self._keep(data[sent:], None)

    def _keep(self, data: bytes, carried: socket.socket | None) -> None:
        """Write *data* as soon as the worker reads."""
        if not self._unsent:
            self._loop.add_writer(self._socket, self._writable)
        self._unsent.append((data, os.dup(carried.fileno()) if carried is not None else -1))
        self._unsent_bytes += len(data)
        if self._unsent_bytes > _MOST_UNSENT:
            self.close()

    def _writable(self) -> None:
        while self._unsent:
            data, carried = self._unsent[0]
            try:
                if carried < 0:
                    sent = self._socket.send(data)
                else:
                    sent = _send_along(self._socket, data, carried)
            except BlockingIOError:
                return
            except OSError:
                self.close()
                return
            self._unsent_bytes -= sent
            self._unsent.popleft()
            if carried >= 0:
                os.close(carried)
            if sent < len(data):
                self._unsent.appendleft((data[sent:], -1))
                return
        self._loop.remove_writer(self._socket)

    # -- the end -------------------------------------------------------------------------------

    def _end(self, error: TenantpoolError) -> None:
        self._send(SessionResponse(refused=to_status(error)), None)
        self.close()

    def close(self) -> None:
        """Hang up. Does not block; a second time does nothing."""
        if self._conversation.is_over:
            return
        self._conversation.hang_up()
        self._deadline.cancel()
        self._loop.remove_reader(self._socket)
        if self._unsent:
            self._loop.remove_writer(self._socket)
        for _, carried in self._unsent:
            if carried >= 0:
                os.close(carried)
        self._unsent.clear()
        self._socket.close()
        self._closed(self)


def _send_along(sock: socket.socket, data: bytes, fd: int) -> int:
    """Send *data*, and the descriptor *fd* with its first byte; return how much was sent."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, _DESCRIPTOR.pack(fd))
    return sock.sendmsg((data,), (rights,))
