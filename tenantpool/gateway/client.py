"""One client of the gateway, from its first byte to its last."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import psycopg

from tenantpool.errors import TenantpoolError
from tenantpool.journal import logger

from .exchange import Exchange, Line
from .protocol import CancelRequest, Report
from .refusals import cut, explain, internal_error, too_many_startups, too_slow
from .relay import Relay
from .startup import Conversation, Rejected, Visitor, welcome
from .wire import Wire

if TYPE_CHECKING:
    from .listener import Gateway
    from .splice import Spliced

_FAREWELL: Final = 5.0
"""Seconds that a client has to take what was sent to it before its connection was closed."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How clients are let in; see ``Gateway``."""

    tls: Callable[[], ssl.SSLContext] | None
    require_tls: bool
    admits: Callable[[int], bool]
    startup_timeout: float
    max_startups: int


class Client:
    """Starts up, is connected to the line that the exchange gives it, and goes.

    Implements ``Plug``. It lives as long as the client's connection does.
    """

    __slots__ = (
        "__weakref__",
        "_exchange",
        "_farewell",
        "_gateway",
        "_is_cut",
        "_is_local",
        "_is_lost",
        "_line",
        "_relay",
        "_rules",
        "_stays",
        "_task",
        "_transport",
        "_wire",
    )

    _transport: asyncio.Transport

    def __init__(
        self, gateway: Gateway, exchange: Exchange, rules: Rules, *, is_local: bool
    ) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self._rules = rules
        self._is_local = is_local
        self._is_cut = False
        self._is_lost = False
        self._stays = False  # whatever the client does
        self._wire: Wire | None = Wire(self._begin, self._lost)
        self._relay: Relay | Spliced | None = None
        self._line: Line | None = None
        self._task: asyncio.Task[None] | None = None
        self._farewell: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._relay or self._wire or 'leaving'!r}>"

    @property
    def protocol(self) -> Wire:
        """What asyncio calls at first."""
        assert self._wire is not None
        return self._wire

    # -- what the service does, see ``Plug`` ---------------------------------------------------

    def cut(self, reason: str) -> None:
        self._is_cut = True
        relay, self._line = self._relay, None
        if relay is not None:
            relay.part()
        if relay is None or relay.can_interject:
            self._dismiss(cut(reason))
        else:
            self._transport.abort()

    def relinquish(self) -> bool:
        relay = self._relay
        if relay is None or self._line is None or not relay.part_if_quiet():
            return False
        self._line = None
        self._transport.abort()
        return True

    def abort(self) -> None:
        """End the connection at once, saying nothing; the exchange learns of it as usual."""
        self._transport.abort()

    # -- start-up ------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._transport = self.protocol.transport
        if not self._gateway.enter(self):
            self._dismiss(too_many_startups(self._rules.max_startups))
        else:
            self._task = asyncio.get_running_loop().create_task(self._start_up())

    def _stranger(self) -> int | None:
        """The user at the other end of the Unix socket, if it is not admitted."""
        if not self._is_local:
            return None
        uid = _peer_uid(self._transport)
        return None if self._rules.admits(uid) else uid

    async def _start_up(self) -> None:
        try:
            await self._converse()
        except Rejected as rejection:
            self._dismiss(rejection.report)
        except (TenantpoolError, psycopg.Error) as error:
            self._dismiss(explain(error))
        except TimeoutError:
            self._dismiss(too_slow(self._rules.startup_timeout))
        except OSError:  # no TLS came about, or the client has gone
            self._transport.abort()
        except Exception:
            logger.exception("a client's start-up failed")
            self._dismiss(internal_error())
        finally:
            self._task = None
            self._leave_if_over()

    async def _converse(self) -> None:
        rules, wire = self._rules, self.protocol
        conversation = Conversation(
            wire,
            self._exchange.secret_of,
            is_local=self._is_local,
            tls=rules.tls,
            require_tls=rules.require_tls,
            stranger=self._stranger(),
            timeout=rules.startup_timeout,
        )
        try:
            async with asyncio.timeout(rules.startup_timeout):
                wanted = await conversation.hold()
        finally:
            self._transport = wire.transport
        self._gateway.proved(self)
        if isinstance(wanted, CancelRequest):
            self._stays = True  # many clients don't wait for the end of it
            await self._exchange.cancel(wanted.pid, wanted.secret)
            self._transport.close()
        else:
            await self._connect(wire, wanted)

    async def _connect(self, wire: Wire, visitor: Visitor) -> None:
        """Wait for a line, and join the client to it. If the client leaves, this is cancelled."""
        line = await self._exchange.dial(visitor.user, self, visitor.database, visitor.settings)
        if self._is_cut:
            return
        self._line = line
        try:
            relay = self._gateway.relays.relay(self._transport, self._hang_up, self._lost)
            await relay.join(line.backend)
            if self._line is None:  # it was cut meanwhile
                relay.part()
                return
            self._relay, self._wire = relay, None
            relay.begin(welcome(line.parameters, line.cancel_key), wire.take_rest())
        except BaseException:
            self._hang_up(clean=True)  # nobody has spoken to the backend
            raise

    # -- the end -------------------------------------------------------------------------------

    def _dismiss(self, report: Report) -> None:
        """Say a last word; close."""
        if not self._transport.is_closing():
            self._transport.write(report.encode())
            self._transport.close()
        self._leave_soon()

    def _hang_up(self, clean: bool) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._exchange.hang_up(line, clean=clean)
        self._leave_soon()

    def _leave_soon(self) -> None:
        """A client that does not read may keep its connection from closing, but not for ever."""
        if self._farewell is None and not self._is_lost:
            loop = asyncio.get_running_loop()
            self._farewell = loop.call_later(_FAREWELL, self._transport.abort)

    def _lost(self) -> None:
        if self._farewell is not None:
            self._farewell.cancel()
            self._farewell = None
        self._is_lost = True
        if self._task is not None and not self._stays:
            self._task.cancel()
        self._leave_if_over()

    def _leave_if_over(self) -> None:
        if self._is_lost and self._task is None:
            self._gateway.leave(self)


def _peer_uid(transport: asyncio.Transport) -> int:
    """Who is at the other end of a Unix socket; -1 if the system does not tell."""
    peer: socket.socket = transport.get_extra_info("socket")
    if not hasattr(socket, "SO_PEERCRED"):
        return -1
    size = struct.calcsize("3i")
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, uid, _ = struct.unpack("3i", raw)
    return int(uid)
