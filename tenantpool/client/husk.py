"""Husks: libpq objects that are kept, and filled with one lent socket after the other.

libpq was told how to cancel when it connected to the gateway. The socket under it is exchanged
(``dup2``), which it does not notice; what is different in the new session, it is told as a server
would. While a husk is not in use, a dead socket is in its place: whoever kept the libpq object gets
an error from it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Mapping
from typing import Any

from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.pq.abc import PGconn

from tenantpool.client.dress import AnyConnection, Dress

_OK = ConnStatus.OK
_IDLE = TransactionStatus.IDLE

_PARAMETERS = (
    b"DateStyle",
    b"IntervalStyle",
    b"TimeZone",
    b"application_name",
    b"client_encoding",
    b"default_transaction_read_only",
    b"in_hot_standby",
    b"is_superuser",
    b"scram_iterations",
    b"search_path",
    b"session_authorization",
    b"standard_conforming_strings",
)
"""What a server reports of its session, as far as it can change, and libpq remembers."""

_HEAD = struct.Struct("!cI")


def dead_socket() -> socket.socket:
    """A socket on which every read is the end of file and every write fails."""
    ours, theirs = socket.socketpair()
    theirs.close()
    ours.setblocking(False)
    return ours


class Husk:
    """A libpq object around a socket that is exchanged; the service knows it as *number*.

    *tenant* is whose connection was in it last.
    """

    __slots__ = ("_fd", "_parameters", "_unread", "conn", "dbname", "number", "pgconn", "tenant")

    def __init__(self, number: int, tenant: str, pgconn: PGconn) -> None:
        self.number = number
        self.tenant = tenant
        self.pgconn = pgconn
        self.conn: AnyConnection | None = None
        """The connection object of the lease that comes into it next."""
        self.dbname = ""
        """The database of the session, if libpq connected to another one."""
        self._fd = pgconn.socket
        reported = {name: pgconn.parameter_status(name) for name in _PARAMETERS}
        self._parameters = {name: value for name, value in reported.items() if value is not None}
        self._unread = select.poll()
        self._unread.register(self._fd, select.POLLIN)

    def __repr__(self) -> str:
        return f"<Husk {self.number} of {self.tenant}, descriptor {self._fd}>"

    def is_usable(self) -> bool:
        """Whether nobody has used libpq's object while it was kept, which breaks it."""
        return self.pgconn.status == _OK and self.pgconn.transaction_status == _IDLE

    def wear(self, dress: Dress[Any]) -> None:
        """Make the connection object of the next lease. Does not block."""
        self._forget()
        self.conn = conn = dress.wrap(self.pgconn)
        _ = conn.adapters  # made on first use, which is when the holder waits: now nobody does

    def adopt(self, dbname: str, parameters: Mapping[str, bytes]) -> None:
        """The next session is in *dbname*, and these *parameters* of it are not as before."""
        self.dbname = dbname
        told = {name.encode(): value for name, value in parameters.items()}
        self._parameters |= {name: told[name] for name in self._parameters.keys() & told.keys()}
        if told:
            self._report(told)

    def put(self, fd: int) -> None:
        """Exchange the socket for that of the descriptor *fd*, which stays open. Does not block.

        The old one is closed in the same instant: no other thread can get its number.
        """
        os.dup2(fd, self._fd, inheritable=False)

    def has_unread(self) -> bool:
        """Whether something has come in that nobody asked for: the end, or a notification."""
        return bool(self._unread.poll(0))

    def close(self) -> None:
        """Free the libpq object, whose Terminate goes to the socket that is in it now."""
        self.pgconn.finish()

    def _forget(self) -> None:
        """Let libpq know of the session what it knew at first, as the service has wiped it."""
        read = self.pgconn.parameter_status
        changed = {name: was for name, was in self._parameters.items() if read(name) != was}
        if changed:
            self._report(changed)
        while self.pgconn.notifies() is not None:
            pass

    def _report(self, parameters: Mapping[bytes, bytes]) -> None:
        """Tell libpq that this is what *parameters* are, as a server would."""
        ours, theirs = socket.socketpair()
        with ours, theirs, dead_socket() as dead:
            ours.setblocking(False)
            theirs.send(b"".join(map(_parameter_status, parameters, parameters.values())))
            self.put(ours.fileno())
            self.pgconn.consume_input()
            self.pgconn.is_busy()  # which reads what came in
            self.put(dead.fileno())


def _parameter_status(name: bytes, value: bytes) -> bytes:
    body = name + b"\0" + value + b"\0"
    return _HEAD.pack(b"S", len(body) + 4) + body


class Cupboard:
    """Husks that are not in use: a bounded number, those of the least recent use go first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._husks: dict[int, Husk] = {}
        self._of: dict[str, list[Husk]] = {}

    def __len__(self) -> int:
        return len(self._husks)

    def __repr__(self) -> str:
        return f"<Cupboard {len(self)} of {self._most} husks>"

    def take(self, tenant: str) -> Husk | None:
        """The husk of *tenant* that was used last, else that of others used first; None: empty."""
        husks = self._of.get(tenant)
        if not husks:
            return self._oldest() if self._husks else None
        husk = husks.pop()
        if not husks:
            del self._of[tenant]
        del self._husks[husk.number]
        return husk

    def keep(self, husk: Husk) -> Husk | None:
        """Put *husk* in; return the one that has to go for it, or None."""
        self._husks[husk.number] = husk
        self._of.setdefault(husk.tenant, []).append(husk)
        return self._oldest() if len(self._husks) > self._most else None

    def clear(self) -> list[Husk]:
        """Take all of them."""
        husks = list(self._husks.values())
        self._husks.clear()
        self._of.clear()
        return husks

    def _oldest(self) -> Husk:
        oldest = next(iter(self._husks.values()))
        del self._husks[oldest.number]
        husks = self._of[oldest.tenant]
        husks.remove(oldest)
        if not husks:
            del self._of[oldest.tenant]
        return oldest
