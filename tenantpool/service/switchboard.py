"""Which client, or which husk, is connected to which lease: the gateway's view of the service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from tenantpool.core.request import GRANTED
from tenantpool.errors import BadRequest, LeaseEnded, NotAllowed
from tenantpool.gateway.exchange import Line, Plug, WrongDatabase
from tenantpool.gateway.keys import CancelKeys
from tenantpool.v1.lease_pb2 import (
    DELIVERY_DIRECT,
    DELIVERY_GATEWAY,
    DELIVERY_HAND_OFF,
    DELIVERY_UNSPECIFIED,
    AcquireLeaseRequest,
    GatewayAddress,
    GatewayWay,
    HandOffWay,
)

from .greeting import greet
from .loan import Loan
from .tickets import Tickets
from .worker import Husk, Worker

if TYPE_CHECKING:
    from .desk import Desk

_MOST_HUSKS = 1000


class Switchboard:
    """Connects clients to the leases of *desk*; implements the gateway's ``Exchange``.

    *gateways* are the addresses that leases name.
    """

    def __init__(self, desk: Desk, tickets: Tickets) -> None:
        self.gateways: list[GatewayAddress] = []
        self._desk = desk
        self._tickets = tickets
        self._keys: CancelKeys[Loan] = CancelKeys()
        self._husks = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._keys!r}>"

    # -- how a lease is reached ----------------------------------------------------------------

    def is_direct(self, loan: Loan, wanted: AcquireLeaseRequest) -> bool:
        """Whether the worker is to connect by itself. NotAllowed if it must, but may not.

        Raises BadRequest if the way that it asks for leads nowhere.
        """
        if wanted.delivery == DELIVERY_HAND_OFF and not _takes_sockets(loan.worker):
            raise BadRequest("a socket can only be handed to a session on the Unix channel")
        if wanted.delivery != DELIVERY_DIRECT:
            if loan.connected.is_plain:
                return False
            if wanted.delivery != DELIVERY_UNSPECIFIED:
                raise BadRequest(
                    f"connections to {loan.shell.name} are encrypted up to this service, so they "
                    "can only be lent directly"
                )
        if not loan.identity.may_direct:
            raise NotAllowed(
                f"{loan.identity.name} may not connect to {loan.shell.name} by itself, as "
                "direct delivery (and a database with TLS) needs"
            )
        return True

    def open_way(self, loan: Loan, husk: int) -> None:
        """Let the lease be reached by the worker's *husk*, if it fits, or else by its ticket."""
        if not husk or loan.worker is None or not self._fill(loan, loan.worker, husk):
            loan.ticket_is_valid = True
            loan.way = GatewayWay(
                addresses=self.gateways,
                user=loan.lease_id,
                ticket=self._tickets.ticket(loan.lease_id),
                dbname=loan.connected.conn.info.dbname,
            )

    def _fill(self, loan: Loan, worker: Worker, number: int) -> bool:
        """Bind the worker's husk to this connection; return whether they fit together."""
        husk = worker.husks.get(number)
        if husk is None:
            return False
        known, parameters = husk.parameters, loan.connected.parameters
        if husk.pool is loan.tenant.pool and (known is parameters or known == parameters):
            loan.way = husk.way
        elif known.keys() == parameters.keys():
            worker.husks[number] = husk._replace(pool=loan.tenant.pool, parameters=parameters)
            loan.way = HandOffWay(
                husk=number,
                parameters=_changed(known, parameters),
                dbname=loan.connected.conn.info.dbname,
            )
        else:
            return False  # a server of another version: libpq can't be told that one is missing
        loan.husk, loan.cancel_key = number, husk.cancel_key
        loan.delivery = DELIVERY_HAND_OFF
        self._keys.bind(husk.cancel_key, loan)
        return True

    def close_way(self, loan: Loan) -> None:
        """The lease has ended: neither its ticket nor its cancel key mean anything any more."""
        loan.ticket_is_valid = False
        if loan.husk:
            self._keys.unbind(loan.cancel_key)
        elif loan.cancel_key != (0, 0):
            self._keys.revoke(loan.cancel_key)

    def hand_over(self, worker: Worker, lease_id: str) -> Loan:
        """Take a lease off the gateway, for its socket to be handed over: ``husk`` and ``backend``.

        Raises LeaseEnded, or BadRequest if that is not possible (any more).
        """
        loan = self._desk.ledger.loans.get(lease_id)
        if loan is None or loan.worker is not worker:
            raise LeaseEnded(f"{lease_id}: there is no such lease (any more)")
        if len(worker.husks) >= _MOST_HUSKS:
            raise BadRequest(f"a session may keep {_MOST_HUSKS} husks: discard some")
        if loan.plug is None or not loan.plug.relinquish():
            raise BadRequest(f"{lease_id}: its connection is in use, or not connected yet")
        loan.plug = None
        self._husks += 1
        loan.husk, loan.delivery = self._husks, DELIVERY_HAND_OFF
        way = HandOffWay(husk=loan.husk)
        worker.husks[loan.husk] = Husk(loan.tenant.pool, loan.parameters, loan.cancel_key, way)
        return loan

    def discard(self, worker: Worker, husks: Iterable[int]) -> None:
        """The worker does not keep these husks any more."""
        for number in husks:
            if (husk := worker.husks.pop(number, None)) is not None:
                self._keys.revoke(husk.cancel_key)

    # -- what the gateway asks: see gateway.exchange -------------------------------------------

    def secret_of(self, user: str) -> str | None:
        """The password that *user* must prove: a lease's ticket, or a session's pass."""
        if (loan := self._desk.ledger.loans.get(user)) is not None:
            return self._tickets.ticket(user) if loan.ticket_is_valid else None
        worker = self._desk.sessions.workers.get(user.rpartition("@")[2])
        return None if worker is None else self._desk.sessions.session_pass(worker)

    async def dial(self, user: str, plug: Plug, database: str, options: Mapping[str, str]) -> Loan:
        """Connect a client that has proved who it is.

        Raises LeaseEnded, Refused, WrongDatabase, psycopg.Error.
        """
        loan = self._desk.ledger.loans.get(user)
        if loan is not None:
            _check_database(loan, user, database)
        else:
            loan = await self._lease_for_pass(user, database)
        if not loan.ticket_is_valid:
            raise LeaseEnded(f"{user}: the ticket was used already")
        loan.ticket_is_valid = False
        loan.plug = plug
        loan.delivery = DELIVERY_GATEWAY
        self._desk.ledger.used(loan)
        try:
            loan.parameters = await greet(loan.connected, options)
        except BaseException:
            loan.plug = None
            self._desk.ledger.end(loan, healthy=False)
            raise
        if loan.lease_id not in self._desk.ledger.loans:
            raise LeaseEnded(f"{user}: the lease has ended")
        loan.cancel_key = self._keys.issue()
        self._keys.bind(loan.cancel_key, loan)
        return loan

    async def _lease_for_pass(self, user: str, database: str) -> Loan:
        """A lease of the session's: one that it did not use so far, or a new one."""
        loan = await self._find_lease(user)
        try:
            _check_database(loan, user, database)
        except WrongDatabase:
            self._desk.ledger.end(loan, healthy=True)
            raise
        return loan

    async def _find_lease(self, user: str) -> Loan:
        tenant, _, session_id = user.rpartition("@")
        worker = self._desk.sessions.workers.get(session_id)
        if worker is None:
            raise LeaseEnded(f"{user}: the session has ended")
        for tenure in worker.attendance.tenures:
            loan = tenure.of
            assert isinstance(loan, Loan)
            if loan.ticket_is_valid and loan.tenant.name == tenant:
                return loan
        wanted = AcquireLeaseRequest(tenant=tenant, delivery=DELIVERY_GATEWAY, purpose="gateway")
        return await self._desk.acquire(worker, wanted)

    def hang_up(self, line: Line, *, clean: bool) -> None:
        """The client has gone: its lease ends."""
        assert isinstance(line, Loan)
        line.plug = None
        self._desk.ledger.end(line, healthy=clean)

    async def cancel(self, pid: int, secret: int) -> None:
        """Cancel what the lease with this key runs.

        Its connection is not lent on before the cancel has arrived, so it never hits anybody else.
        """
        loan = self._keys.find(pid, secret)
        if loan is None or loan.state != GRANTED:
            return
        link = loan.connected
        loan.cancels += 1
        try:
            with suppress(psycopg.Error, OSError):
                await link.cancel(self._desk.rules.startup_timeout)
        finally:
            loan.cancels -= 1
            self._desk.ledger.cancelled(loan)


def _changed(known: Mapping[str, str], parameters: Mapping[str, str]) -> dict[str, bytes]:
    """Those of *parameters* that are not as they are *known*, as the server said them."""
    return {
        name: value.encode("utf-8", "surrogateescape")
        for name, value in parameters.items()
        if known[name] != value
    }


def _check_database(loan: Loan, user: str, database: str) -> None:
    """Whether this is what the client means. Raises WrongDatabase.

    What comes without a database asks for one of its user's name, as libpq does.
    """
    if database in (user, loan.tenant.name):
        return
    dbname = loan.connected.conn.info.dbname
    if database != dbname:
        raise WrongDatabase(database, dbname, loan.tenant.name)


def _takes_sockets(worker: Worker | None) -> bool:
    return worker is not None and DELIVERY_HAND_OFF in worker.deliveries
