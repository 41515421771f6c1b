"""A lease that was granted, with its connection."""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psycopg.pq import PipelineStatus, TransactionStatus

from tenantpool.client.dress import AnyConnection, Dress, blind, introduce
from tenantpool.client.husk import Husk
from tenantpool.v1.lease_pb2 import Lease
from tenantpool.v1.session_pb2 import SessionRequest

if TYPE_CHECKING:
    from tenantpool.client.shelf import Shelf

_IDLE = TransactionStatus.IDLE
_PIPELINE_OFF = PipelineStatus.OFF


class Grant:
    """A lease and its connection: of the worker's own libpq object, or in a husk.

    The *leash* is a second descriptor of the connection's socket, -1 once it is closed. Through it
    the connection can be cut while another thread uses it, without touching what belongs to libpq.
    """

    __slots__ = (
        "conn",
        "due",
        "ended",
        "husk",
        "is_gateway",
        "is_wanted",
        "lease_id",
        "leash",
        "pgconn",
        "shelf",
        "tenant",
        "token",
    )

    def __init__(
        self,
        shelf: Shelf,
        tenant: str,
        lease: Lease,
        conn: AnyConnection,
        fd: int,
        husk: Husk | None = None,
    ) -> None:
        self.shelf = shelf
        self.tenant = tenant
        self.lease_id = lease.lease_id
        self.token = lease.fencing_token
        self.conn = conn
        self.pgconn = conn.pgconn
        self.husk = husk
        self.leash = fd
        self.is_gateway = husk is None and lease.HasField("gateway")
        if husk is not None:
            introduce(conn, self.lease_id, husk.dbname)
        self.due = 0.0
        self.ended = ""
        self.is_wanted = False

    def __repr__(self) -> str:
        return f"<Grant {self.lease_id}{': ' if self.ended else ''}{self.ended}>"

    @property
    def is_clean(self) -> bool:
        """Alive, in no transaction, and with nothing in flight. Does not block."""
        pgconn = self.pgconn
        return pgconn.transaction_status == _IDLE and pgconn.pipeline_status == _PIPELINE_OFF

    def is_alive(self) -> bool:
        """Whether nothing has come in since it was parked, not even the end. Does not block."""
        if self.husk is not None:
            return not self.husk.has_unread()
        unread = select.poll()
        unread.register(self.leash, select.POLLIN)
        return not unread.poll(0)

    def renew(self, dress: Dress[Any]) -> None:
        """Put a fresh object around the same session; whoever has the old one finds it closed."""
        conn = dress.wrap(self.pgconn)
        threshold = conn.prepare_threshold
        # The server still has the statements that were prepared under these names.
        conn._prepared = self.conn._prepared
        conn.prepare_threshold = threshold
        if self.husk is not None:
            introduce(conn, self.lease_id, self.husk.dbname)
        self.conn = conn

    def shut(self) -> None:
        """Whoever still has the connection object finds it closed. Does not block."""
        blind(self.conn)

    def cut(self, reason: str) -> None:
        """The lease has ended, for this *reason*: using the connection fails from now on."""
        self.ended = reason
        # The family does not matter to a shutdown.
        with suppress(OSError), socket.socket(socket.AF_UNIX, fileno=os.dup(self.leash)) as leash:
            leash.shutdown(socket.SHUT_RDWR)

    def part(self, dead: socket.socket | None, *, broken: bool) -> bool:
        """Take the connection away from libpq; return whether its husk can be filled again.

        *dead* takes the place of a lent socket. Without it the connection must have been cut.
        *broken*: it is not clean, so what was under way on it is not known.
        """
        self.shut()
        husk, is_empty = self.husk, False
        if husk is None or dead is None or self.pgconn.status:  # cut, or closed behind our back
            self.pgconn.finish()
        else:
            is_empty = not (broken or self.ended or husk.has_unread())
            husk.put(dead.fileno())
        self._drop_leash()
        return is_empty

    def disown(self, dead: socket.socket) -> None:
        """This process is a fork: the connection is the parent's, and can't be reached here."""
        self.ended = "it was taken by the parent process"
        if not self.pgconn.status:
            os.dup2(dead.fileno(), self.pgconn.socket, inheritable=False)
        self.shut()
        self._drop_leash()

    def release(self, *, broken: bool) -> SessionRequest:
        """The request that gives it back."""
        request = SessionRequest()
        release = request.release
        lease = release.lease
        lease.lease_id = self.lease_id
        lease.fencing_token = self.token
        if broken:
            release.broken = True
        return request

    def _drop_leash(self) -> None:
        if self.leash >= 0:
            os.close(self.leash)
            self.leash = -1
