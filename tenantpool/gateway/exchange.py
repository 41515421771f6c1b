"""What the gateway needs of the service: who may connect, to which backend, and what then."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Protocol

from tenantpool.errors import TenantpoolError


class WrongDatabase(TenantpoolError):
    """The client *wanted* a database that its lease does not lead to; *right* are names that do."""

    def __init__(self, wanted: str, *right: str) -> None:
        names = " or ".join(f'"{name}"' for name in dict.fromkeys(right))
        super().__init__(f'this lease does not lead to database "{wanted}"')
        self.hint = f"Leave the database out, or use {names}."


class Plug(Protocol):
    """The gateway's end of a lease that is connected: what the service may do to it."""

    def cut(self, reason: str) -> None:
        """Tell the client why (FATAL 57P01), close its connection; let go of the backend.

        Does not block, and ``hang_up`` is not called any more.
        """

    def relinquish(self) -> bool:
        """Let go of the backend and of the client's connection, saying nothing to either.

        For a hand-over. Return whether that was possible: only if the client has sent nothing
        since its start-up. Does not block, and ``hang_up`` is not called any more.
        """


class Line(Protocol):
    """A lease whose connection a client may use."""

    @property
    def backend(self) -> socket.socket:
        """The backend's socket, non-blocking: to be duplicated by whoever keeps it."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """The session's ParameterStatus values, for the client's start-up."""

    @property
    def cancel_key(self) -> tuple[int, int]:
        """The virtual process id and secret that the client gets as its BackendKeyData."""


class Exchange(Protocol):
    """The service as the gateway sees it."""

    def secret_of(self, user: str) -> str | None:
        """The password that *user* must prove, or None if nobody of that name is expected.

        *user* is a lease id (its ticket is the password) or ``tenant@session`` (its pass).
        Does not block, and changes nothing.
        """

    async def dial(self, user: str, plug: Plug, database: str, options: Mapping[str, str]) -> Line:
        """Connect a client that has proved who it is. A ticket ends here, a pass takes a new lease.

        *database* is what the client asks for, its *user* if it does not say. *options* are the
        settings of its start-up packet, by lower-case name: they are applied to the session (and
        undone with everything else when the lease ends).

        Blocks for a new lease, and for a round trip where there are options. Raises WrongDatabase,
        and a ticket is valid still; another TenantpoolError; psycopg.Error if the options could not
        be applied.
        """

    def hang_up(self, line: Line, *, clean: bool) -> None:
        """The client has gone. *clean*: nothing was in flight, and no transaction open.

        Does not block.
        """

    async def cancel(self, pid: int, secret: int) -> None:
        """A CancelRequest: cancel what the line with this key runs, if there is one."""
