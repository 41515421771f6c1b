"""The link with the service: a session, begun when it is needed, and again when it was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import uniform
from time import monotonic

from tenantpool import tracing
from tenantpool.client.target import Target, worker_name
from tenantpool.errors import Draining, ManagerClosed, ServiceUnavailable, TenantpoolError
from tenantpool.v1.lease_pb2 import (
    DELIVERY_DIRECT,
    DELIVERY_GATEWAY,
    DELIVERY_HAND_OFF,
    Delivery,
)
from tenantpool.v1.session_pb2 import Hello

from .session import AsyncSession

LONGEST_ABSENCE = 30.0
"""Seconds to wait for a service that is not there, for those who name no time."""

_LONGEST_HELLO = 5.0
_SHORTEST_HELLO = 1.0
_SHORTEST_PAUSE = 0.01
_LONGEST_PAUSE = 1.0


def deadline(timeout: float | None) -> float:
    """When to give up on a service that is not there; *timeout* in seconds, or None."""
    return monotonic() + (LONGEST_ABSENCE if timeout is None else timeout)


class AsyncLink:
    """Has one session at a time with the service at *target*, until it is closed.

    *make* makes a session that is not open yet; Hello names the *worker* (empty: this process)
    and its ways to reach connections (*delivery*: one, or unspecified).
    """

    def __init__(
        self, target: Target, worker: str, delivery: Delivery, make: Callable[[], AsyncSession]
    ) -> None:
        self._target = target
        self._worker = worker
        self._delivery = delivery
        self._make = make
        self.closed = ""
        """Why there is no further session; empty as long as there may be."""
        self.begun = 0
        """How many sessions there were."""
        self._begin_anew()

    def __repr__(self) -> str:
        state = self.closed or self.session or "not connected"
        return f"<{type(self).__name__} {self._target.name}: {state}>"

    async def session_by(self, deadline: float) -> AsyncSession:
        """The session, begun if there is none; until *deadline* for a service that is not there.

        Raises ServiceUnavailable then, and at once what the service refuses Hello with.
        """
        while True:
            async with self._connecting:
                if self.closed:
                    raise ManagerClosed(f"the client is {self.closed}")
                session = self.session
                if session is not None and session.is_good():
                    return session
                if monotonic() >= self._connect_at:
                    await self._try_connect(deadline)
                    continue
                failure = self.failure
            if monotonic() >= deadline:
                raise ServiceUnavailable(f"{self._target.name}: {failure}") from failure
            await asyncio.sleep(max(0.0, min(self._connect_at, deadline) - monotonic()))

    async def close(self) -> AsyncSession | None:
        """Begin no further session; return the last one, if there was one.

        Waits for one that is about to begin.
        """
        self.closed = "closed"
        async with self._connecting:
            return self.session

    def disown(self) -> None:
        """This process is a fork: the session is the parent's, and gRPC would not work here."""
        session = self.session
        self._begin_anew()
        if session is None:
            return
        session.disown()
        if session.uses_grpc:
            self.closed = "of the parent process, where gRPC was in use: make one in each process"

    def _begin_anew(self) -> None:
        """Forget any session: there was none, or it is another process's."""
        tracing.find()
        self.session: AsyncSession | None = None
        self.failure: TenantpoolError | None = None
        self._connecting = asyncio.Lock()
        self._connect_at = 0.0
        self._pause = _SHORTEST_PAUSE

    async def _try_connect(self, deadline: float) -> None:
        """Begin a session; note the failure if the service is not there."""
        if self.session is not None:
            await self.session.join()
        session = self._make()
        left = deadline - monotonic()
        try:
            await session.open(self._hello(), min(max(left, _SHORTEST_HELLO), _LONGEST_HELLO))
        except (ServiceUnavailable, Draining) as error:
            # With some chance in it: the workers of a service that comes back do not come at once.
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._connect_at = monotonic() + self._pause * uniform(0.5, 1.0)
            self.failure = error
        else:
            tracing.find()  # it may have been set up since
            self.session = session
            self._pause = _SHORTEST_PAUSE
            self.begun += 1

    def _hello(self) -> Hello:
        name = self._worker or worker_name()
        if self._delivery:
            return Hello(worker=name, deliveries=[self._delivery])
        if self._target.channel():
            return Hello(
                worker=name, deliveries=[DELIVERY_HAND_OFF, DELIVERY_GATEWAY, DELIVERY_DIRECT]
            )
        return Hello(worker=name, deliveries=[DELIVERY_GATEWAY, DELIVERY_DIRECT])
