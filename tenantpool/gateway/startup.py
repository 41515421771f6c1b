"""The start-up conversation: what the client wants, and whether it is who it says."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .options import settings_of
from .protocol import (
    AUTHENTICATION_CLEARTEXT,
    AUTHENTICATION_OK,
    READY_FOR_QUERY,
    CancelRequest,
    GSSENCRequest,
    ProtocolViolation,
    Report,
    SSLRequest,
    StartupMessage,
    authentication_sasl,
    authentication_sasl_continue,
    authentication_sasl_final,
    backend_key_data,
    negotiate_protocol_version,
    parameter_status,
    parse_cleartext,
    parse_packet,
    parse_sasl_initial,
    password_length,
    startup_length,
)
from .refusals import bad_password, needs_tls, not_admitted
from .scram import MECHANISM, ScramServer
from .wire import Wire

_NOT_AUTHORIZED = "28000"


class Rejected(Exception):
    """The client may not connect; *report* is what it is told."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.message)
        self.report = report


@dataclass(frozen=True, slots=True)
class Visitor:
    """A client that has proved who it is, and what it wants."""

    user: str
    database: str
    """The user's name if it does not say, as in PostgreSQL."""
    settings: Mapping[str, str]


class Conversation:
    """With one client, up to the point where it is to be connected.

    *secret_of* tells the password of a user. *is_local*: it came through the Unix socket, where
    passwords may be sent as they are and TLS is of no use. *tls* gives the certificate to show;
    with *require_tls* others are turned away, and always a *stranger*, by its uid.
    """

    def __init__(
        self,
        wire: Wire,
        secret_of: Callable[[str], str | None],
        *,
        is_local: bool,
        tls: Callable[[], ssl.SSLContext] | None,
        require_tls: bool,
        stranger: int | None,
        timeout: float,
    ) -> None:
        self._wire = wire
        self._secret_of = secret_of
        self._is_local = is_local
        self._tls = None if is_local else tls
        self._require_tls = require_tls and not is_local
        self._stranger = stranger
        self._timeout = timeout
        self._is_encrypted = False

    def __repr__(self) -> str:
        how = "Unix" if self._is_local else "TLS" if self._is_encrypted else "TCP"
        return f"<{type(self).__name__} over {how}>"

    async def hold(self) -> Visitor | CancelRequest:
        """Find out what the client wants. Blocks for as long as the client takes.

        Raises Rejected, ProtocolViolation, OSError; is cancelled if the client goes away.
        """
        wanted = await self._receive_wish()
        if isinstance(wanted, CancelRequest):
            return wanted
        if self._stranger is not None:
            raise Rejected(not_admitted(self._stranger))
        if self._require_tls and not self._is_encrypted:
            raise Rejected(needs_tls())
        if wanted.needs_negotiation:
            self._send(negotiate_protocol_version(wanted.unknown))
        user = wanted.parameters.get("user", "")
        if not user:
            raise ProtocolViolation("no user name specified in startup packet", _NOT_AUTHORIZED)
        settings = settings_of(wanted.parameters)
        await self._authenticate(user)
        return Visitor(user, wanted.parameters.get("database") or user, settings)

    async def _receive_wish(self) -> CancelRequest | StartupMessage:
        """The first packet that is no question about encryption; each is answered once."""
        asked: set[type] = set()
        while True:
            body = await self._wire.read(startup_length(await self._wire.read(4)))
            match packet := parse_packet(body):
                case CancelRequest() | StartupMessage():
                    return packet
            if type(packet) in asked or self._is_encrypted:
                raise ProtocolViolation("encryption was requested already")
            asked.add(type(packet))
            await self._encrypt(packet)

    async def _encrypt(self, packet: SSLRequest | GSSENCRequest) -> None:
        # What comes in clear before the handshake could be an attacker's (CVE-2021-23214).
        if self._wire.has_more:
            raise ProtocolViolation("received unencrypted data after an encryption request")
        if isinstance(packet, GSSENCRequest) or self._tls is None:
            self._send(b"N")
            return
        context = self._tls()
        self._send(b"S")
        await self._wire.start_tls(context, self._timeout)
        self._is_encrypted = True

    # -- who it is -----------------------------------------------------------------------------

    async def _authenticate(self, user: str) -> None:
        """Nobody learns from the conversation, or from its pace, whether a user exists."""
        known = self._secret_of(user)
        secret = secrets.token_urlsafe(24) if known is None else known
        is_right = await (self._ask(secret) if self._is_local else self._scram(secret))
        # A ticket may have been used, or have ended, while its owner proved to have it.
        if not is_right or known is None or self._secret_of(user) != known:
            raise Rejected(bad_password(user))
        self._send(AUTHENTICATION_OK)

    async def _ask(self, secret: str) -> bool:
        self._send(AUTHENTICATION_CLEARTEXT)
        said = parse_cleartext(await self._receive_password())
        return hmac.compare_digest(said.encode(), secret.encode())

    async def _scram(self, secret: str) -> bool:
        self._send(authentication_sasl([MECHANISM]))
        mechanism, first = parse_sasl_initial(await self._receive_password())
        if mechanism != MECHANISM:
            raise ProtocolViolation("client selected an invalid SASL authentication mechanism")
        scram = ScramServer(secret)
        self._send(authentication_sasl_continue(scram.first(first)))
        await asyncio.to_thread(scram.derive)  # while the client does the same
        proof = scram.final(await self._receive_password())
        if proof is None:
            return False
        self._send(authentication_sasl_final(proof))
        return True

    async def _receive_password(self) -> bytes:
        return await self._wire.read(password_length(await self._wire.read(5)))

    def _send(self, data: bytes) -> None:
        self._wire.transport.write(data)


def welcome(parameters: Mapping[str, str], cancel_key: tuple[int, int]) -> bytes:
    """The end of a start-up: the session's parameters, its cancel key, and that it is ready."""
    reports = [parameter_status(name, value) for name, value in parameters.items()]
    return b"".join([*reports, backend_key_data(*cancel_key), READY_FOR_QUERY])
