"""The start of PostgreSQL's protocol, version 3.0, as a server speaks it: bytes in, bytes out.

Nothing here does I/O. Malformed input raises ProtocolViolation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final

from tenantpool.errors import TenantpoolError

LENGTH: Final = Struct(">I")
HEADER: Final = Struct(">BI")
"""A message's type and length. The length counts itself, but not the type."""

LONGEST_STARTUP: Final = 10_000
"""Bytes of a start-up packet; PostgreSQL's own limit."""
LONGEST_PASSWORD: Final = 65_535
"""Bytes of a password message; PostgreSQL's own limit."""

_VERSION_3_0: Final = 3 << 16
_CANCEL: Final = 80877102
_SSL: Final = 80877103
_GSSENC: Final = 80877104
_PROTOCOL_OPTION: Final = "_pq_."

PROTOCOL_VIOLATION: Final = "08P01"
_NOT_SUPPORTED: Final = "0A000"


class ProtocolViolation(TenantpoolError):
    """The client sent what the protocol does not allow: *sqlstate* says of which kind."""

    def __init__(self, message: str, sqlstate: str = PROTOCOL_VIOLATION) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class SSLRequest:
    """Asks for TLS."""


@dataclass(frozen=True, slots=True)
class GSSENCRequest:
    """Asks for encryption by GSSAPI."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Asks to cancel what another connection runs."""

    pid: int
    secret: int


@dataclass(frozen=True, slots=True)
class StartupMessage:
    """Asks for a session. *parameters* are as the client sent them, ``user`` among them.

    *unknown* are the protocol's own options, none of which is known here.
    """

    minor: int
    parameters: Mapping[str, str]
    unknown: tuple[str, ...] = ()

    @property
    def needs_negotiation(self) -> bool:
        """Whether the client must be told that it gets 3.0 without options."""
        return self.minor > 0 or bool(self.unknown)


Packet = SSLRequest | GSSENCRequest | CancelRequest | StartupMessage


# -- what a client sends -------------------------------------------------------------------------


def startup_length(head: bytes) -> int:
    """How many bytes follow the first four of a start-up packet."""
    (length,) = LENGTH.unpack(head)
    if not 8 <= length <= LONGEST_STARTUP:
        raise ProtocolViolation(f"invalid length of startup packet: {length}")
    return int(length) - 4


def password_length(head: bytes) -> int:
    """How many bytes follow the first five of an answer to an authentication request."""
    kind, length = HEADER.unpack(head)
    if kind != ord("p"):
        raise ProtocolViolation(f"expected password response, got message type {kind}")
    if not 4 <= length <= LONGEST_PASSWORD:
        raise ProtocolViolation(f"invalid length of password message: {length}")
    return int(length) - 4


def parse_packet(body: bytes) -> Packet:
    """The start-up packet whose *body* follows its length."""
    if len(body) < 4:
        raise ProtocolViolation("invalid length of startup packet")
    (code,) = LENGTH.unpack_from(body)
    match code:
        case 80877103 if len(body) == 4:
            return SSLRequest()
        case 80877104 if len(body) == 4:
            return GSSENCRequest()
        case 80877102 if len(body) == 12:
            return CancelRequest(*Struct(">II").unpack_from(body, 4))
    if code in (_SSL, _GSSENC, _CANCEL):
        raise ProtocolViolation("invalid length of startup packet")
    if code >> 16 != 3:
        raise ProtocolViolation(
            f"unsupported frontend protocol {code >> 16}.{code & 0xFFFF}: server supports 3.0",
            _NOT_SUPPORTED,
        )
    return _parse_startup(code & 0xFFFF, body[4:])


def parse_cleartext(body: bytes) -> str:
    """The password in a PasswordMessage."""
    if body.find(b"\0") != len(body) - 1:
        raise ProtocolViolation("invalid password packet size")
    return _text(body[:-1])


def parse_sasl_initial(body: bytes) -> tuple[str, bytes]:
    """The mechanism and the client's first message in a SASLInitialResponse."""
    name, zero, rest = body.partition(b"\0")
    if not zero or len(rest) < 4:
        raise ProtocolViolation("malformed SASL response")
    (length,) = LENGTH.unpack_from(rest)
    if length != len(rest) - 4:
        raise ProtocolViolation("malformed SASL response")
    return _text(name), rest[4:]


def _parse_startup(minor: int, body: bytes) -> StartupMessage:
    """PostgreSQL's rules: pairs of strings, then one zero byte and nothing else."""
    parts = body.split(b"\0")
    # A well-formed body ends with two zero bytes, or is nothing but one.
    if len(parts) < 2 or parts[-1] or parts[-2] or len(parts) % 2:
        raise ProtocolViolation("invalid startup packet layout: expected terminator as last byte")
    texts = [_text(part) for part in parts[:-2]]
    if "" in texts[::2]:
        raise ProtocolViolation("invalid startup packet layout: a parameter has no name")
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    return StartupMessage(
        minor,
        {name: value for name, value in pairs if not name.startswith(_PROTOCOL_OPTION)},
        tuple(name for name, _ in pairs if name.startswith(_PROTOCOL_OPTION)),
    )


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise ProtocolViolation("the startup packet is not encoded in UTF-8") from None


# -- what a server sends -------------------------------------------------------------------------


def message(kind: bytes, body: bytes) -> bytes:
    """A message of the type *kind*, which is one byte."""
    return kind + LENGTH.pack(len(body) + 4) + body


def authentication(code: int, body: bytes = b"") -> bytes:
    """One of the Authentication messages."""
    return message(b"R", LENGTH.pack(code) + body)


AUTHENTICATION_OK: Final = authentication(0)
AUTHENTICATION_CLEARTEXT: Final = authentication(3)
READY_FOR_QUERY: Final = message(b"Z", b"I")


def authentication_sasl(mechanisms: Iterable[str]) -> bytes:
    """AuthenticationSASL: what the client may choose from."""
    return authentication(10, b"".join(_string(name) for name in mechanisms) + b"\0")


def authentication_sasl_continue(data: bytes) -> bytes:
    """AuthenticationSASLContinue: a challenge."""
    return authentication(11, data)


def authentication_sasl_final(data: bytes) -> bytes:
    """AuthenticationSASLFinal: the server's own proof."""
    return authentication(12, data)


def negotiate_protocol_version(unknown: Iterable[str]) -> bytes:
    """NegotiateProtocolVersion: 3.0, and which of the client's options mean nothing here."""
    names = [_string(name) for name in unknown]
    return message(b"v", Struct(">II").pack(_VERSION_3_0, len(names)) + b"".join(names))


def parameter_status(name: str, value: str) -> bytes:
    """ParameterStatus: a setting that clients want to know."""
    return message(b"S", _string(name) + _string(value))


def backend_key_data(pid: int, secret: int) -> bytes:
    """BackendKeyData: what the client has to send to cancel."""
    return message(b"K", Struct(">II").pack(pid, secret))


@dataclass(frozen=True, slots=True)
class Report:
    """An ErrorResponse in words. *detail* and *hint* may be empty."""

    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""

    def encode(self) -> bytes:
        """The ErrorResponse that ends a connection."""
        fields = {
            b"S": "FATAL",
            b"V": "FATAL",
            b"C": self.sqlstate,
            b"M": self.message,
            b"D": self.detail,
            b"H": self.hint,
        }
        body = b"".join(code + _string(text) for code, text in fields.items() if text)
        return message(b"E", body + b"\0")


def _string(text: str) -> bytes:
    """A zero ends a string, so none may be in it."""
    return text.replace("\0", "?").encode(errors="replace") + b"\0"
