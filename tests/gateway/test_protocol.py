"""Start-up packets, as PostgreSQL reads them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tenantpool.gateway import protocol
from tenantpool.gateway.protocol import (
    CancelRequest,
    GSSENCRequest,
    ProtocolViolation,
    Report,
    SSLRequest,
    StartupMessage,
    parse_packet,
)
from tests.gateway.support import fields, startup

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NAMES = TEXTS.filter(lambda name: name and not name.startswith("_pq_."))


def code(number: int) -> bytes:
    return number.to_bytes(4, "big")


def test_requests():
    assert parse_packet(code(80877103)) == SSLRequest()
    assert parse_packet(code(80877104)) == GSSENCRequest()
    assert parse_packet(code(80877102) + code(7) + code(0xFFFFFFFF)) == CancelRequest(7, 0xFFFFFFFF)


@given(st.dictionaries(NAMES, TEXTS), st.integers(0, 0xFFFF))
def test_a_startup_message_is_read_as_it_was_written(parameters: dict[str, str], minor: int):
    packet = parse_packet(startup(parameters, minor)[4:])
    assert packet == StartupMessage(minor, parameters)


def test_a_newer_client_is_told_what_it_gets():
    packet = parse_packet(startup({"user": "u", "_pq_.trick": "on"}, minor=2)[4:])
    assert isinstance(packet, StartupMessage)
    assert packet.needs_negotiation
    assert dict(packet.parameters) == {"user": "u"}
    told = protocol.negotiate_protocol_version(packet.unknown)
    assert told == b"v" + code(4 + 8 + 11) + code(3 << 16) + code(1) + b"_pq_.trick\0"


@given(st.binary(max_size=64))
@example(b"")
@example(code(3 << 16))
@example(code(3 << 16) + b"user\0u\0")
@example(code(3 << 16) + b"user\0u")
@example(code(3 << 16) + b"user\0\0")
@example(code(3 << 16) + b"\0\0")
@example(code(3 << 16) + b"\xff\0x\0\0")
@example(code(2 << 16) + b"user\0u\0\0")
@example(code(80877102) + code(7))
@example(code(80877103) + b"x")
def test_whatever_comes_is_a_packet_or_a_violation(body: bytes):
    with suppress(ProtocolViolation):
        parse_packet(body)


@given(st.binary(min_size=5, max_size=5), st.binary(max_size=40))
def test_whatever_comes_as_a_password_is_one_or_a_violation(head: bytes, body: bytes):
    for parse, data in (
        (protocol.startup_length, head[:4]),
        (protocol.password_length, head),
        (protocol.parse_cleartext, body),
        (protocol.parse_sasl_initial, body),
    ):
        with suppress(ProtocolViolation):
            parse(data)


@pytest.mark.parametrize("length", [0, 4, 7, 10_001, 0xFFFFFFFF])
def test_the_length_of_a_startup_packet_is_limited(length: int):
    with pytest.raises(ProtocolViolation, match="length of startup packet"):
        protocol.startup_length(code(length))


def test_a_report_has_no_empty_fields_and_no_zeros_within():
    encoded = Report("53300", "too\0many", hint="later").encode()
    assert int.from_bytes(encoded[1:5], "big") == len(encoded) - 1
    assert encoded.endswith(b"\0\0")
    assert fields(encoded[5:]) == {
        "S": "FATAL",
        "V": "FATAL",
        "C": "53300",
        "M": "too?many",
        "H": "later",
    }
