"""What every call over gRPC goes through: who asks, is there room, and how is it refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from ipaddress import ip_address
from math import ceil
from typing import Never, Protocol, TypeVar
from urllib.parse import unquote

import grpc

from tenantpool.errors import Draining, IdentityLimit, NotAllowed, TenantpoolError
from tenantpool.journal import logger
from tenantpool.status import retry_delay, to_status

from .identity import Guard, Identity

T = TypeVar("T")

_BEARER = "bearer "
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_DETAILS = "grpc-status-details-bin"
_PUSHBACK = "grpc-retry-pushback-ms"

# What gRPC calls the names in a certificate that was verified, and what we do.
_NAMES = {
    "x509_common_name": "CN=",
    "peer_dns": "DNS:",
    "peer_uri": "URI:",
    "peer_spiffe_id": "URI:",
}


class Context(Protocol):
    """What is used of a grpc.aio.ServicerContext; its stubs make it generic over each call."""

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: tuple[tuple[str, str | bytes], ...] = (),
    ) -> Never:
        """End the call; raises."""

    def peer(self) -> str:
        """Where it comes from, as a URI."""

    def auth_context(self) -> dict[str, list[bytes]]:
        """What TLS has proved of the client."""

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """The call's headers."""

    def time_remaining(self) -> float | None:
        """Seconds until the caller gives up; None: it does not."""


class Calls:
    """Lets up to *most* calls in at a time, and knows who makes them.

    (gRPC's own ``maximum_concurrent_rpcs`` counts streams, too.) *unix_uid* is the user that comes
    over the Unix socket, where its permissions let nobody else in; None: anybody may. Both may
    change meanwhile.
    """

    def __init__(self, guard: Guard, *, unix_uid: int | None, most: int) -> None:
        self.unix_uid = unix_uid
        self.most = most
        self._guard = guard
        self._is_closed = False
        self._under_way: set[asyncio.Task[object]] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._under_way)} of {self.most} under way>"

    async def answer(self, context: Context, work: Callable[[Identity], Awaitable[T]]) -> T:
        """Do *work* for whoever calls; what it raises is the call's status.

        When the caller hangs up or its deadline is over, *work* is cancelled and has to leave
        nothing behind.
        """
        refusal: TenantpoolError
        try:
            return await self._admit(context, work)
        except TenantpoolError as error:
            refusal = error
        except Exception:
            logger.exception("a call failed")
            refusal = TenantpoolError("bug: see the service's log")
        return await _refuse(context, refusal)

    async def administer(self, context: Context, work: Callable[[Identity], Awaitable[T]]) -> T:
        """The same for those only who may administer."""

        def checked(identity: Identity) -> Awaitable[T]:
            _check_administers(identity)
            return work(identity)

        return await self.answer(context, checked)

    def check_administers(self, identity: Identity) -> None:
        """May it still, by the rules of now? For calls that last. NotAuthenticated, NotAllowed."""
        _check_administers(self._guard.again(identity))

    async def close(self) -> None:
        """Let nobody in any more, and refuse those who wait. Blocks until all have ended."""
        self._is_closed = True
        ending = list(self._under_way)
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)

    async def _admit(self, context: Context, work: Callable[[Identity], Awaitable[T]]) -> T:
        if self._is_closed:
            raise Draining("", "the service is closing")
        if len(self._under_way) >= self.most:
            raise IdentityLimit("", f"the service takes {self.most} calls at a time")
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            return await work(self._identify(context))
        except asyncio.CancelledError:
            if not self._is_closed:
                raise  # the caller has gone
            task.uncancel()
            raise Draining("", "the service is closing") from None
        finally:
            self._under_way.discard(task)

    def _identify(self, context: Context) -> Identity:
        peer = context.peer()
        token = _token(context)
        if peer.startswith("unix"):
            return self._guard.on_unix(self.unix_uid, token)
        names = _names(context) if self._guard.knows_certificates else ()
        is_loopback = _is_loopback(peer)
        return self._guard.on_tcp(is_loopback=is_loopback, token=token, certificate=names)


def _check_administers(identity: Identity) -> None:
    if not identity.may_administer:
        raise NotAllowed(f"{identity.name} may not administer")


async def _refuse(context: Context, error: TenantpoolError) -> Never:
    """End the call with *error*, and say when to try again where that may help by itself."""
    status = to_status(error)
    trailers: list[tuple[str, str | bytes]] = [(_DETAILS, status.SerializeToString())]
    delay = retry_delay(error)
    code = _CODES[status.code]
    if delay is not None and code is grpc.StatusCode.UNAVAILABLE:
        trailers.append((_PUSHBACK, str(max(1, ceil(delay * 1000)))))
    await context.abort(code, status.message, tuple(trailers))


def _token(context: Context) -> str:
    for name, value in context.invocation_metadata():
        if name == "authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return str(value[len(_BEARER) :])
    return ""


def _names(context: Context) -> Iterator[str]:
    for key, values in context.auth_context().items():
        if kind := _NAMES.get(key):
            yield from (kind + value.decode(errors="replace") for value in values)


def _is_loopback(peer: str) -> bool:
    """Whether *peer*, such as ``ipv4:127.0.0.1:5000`` or ``ipv6:%5B::1%5D:5000``, is this host."""
    host = unquote(peer.partition(":")[2]).rpartition(":")[0].strip("[]")
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
