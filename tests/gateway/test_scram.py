"""SCRAM-SHA-256, with the RFC's own example and with a client that makes mistakes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tenantpool.gateway.protocol import ProtocolViolation
from tenantpool.gateway.scram import ScramServer


def test_the_example_of_rfc_7677():
    server = ScramServer("pencil")
    server._nonce = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    server._salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    challenge = server.first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    nonce = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    assert challenge == b"r=" + nonce + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    server.derive()
    proof = b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    answer = server.final(b"c=biws,r=" + nonce + b",p=" + proof)
    assert answer == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def prove(password: str, header: bytes, challenge: bytes, bare: bytes) -> bytes:
    """The final message of a client that follows the rules."""
    nonce, salt, rounds = (part[2:] for part in challenge.split(b","))
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    client_key = hmac.digest(key, b"Client Key", "sha256")
    final = b"c=" + base64.b64encode(header) + b",r=" + nonce
    transcript = b",".join([bare, challenge, final])
    signature = hmac.digest(hashlib.sha256(client_key).digest(), transcript, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return final + b",p=" + base64.b64encode(proof)


@settings(max_examples=10)
@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from([b"n,,", b"y,,"]))
@example("same", "same", b"n,,")
@example("same", "same", b"y,,")
def test_who_knows_the_password_gets_in(known: str, said: str, header: bytes):
    try:
        known.encode(), said.encode()
    except UnicodeEncodeError:
        return
    server, bare = ScramServer(known), b"n=,r=abc"
    challenge = server.first(header + bare)
    server.derive()
    answer = server.final(prove(said, header, challenge, bare))
    assert (answer is not None) == (known == said)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n",
        b"n,,",
        b"p=tls-server-end-point,,n=,r=abc",
        b"x,,n=,r=abc",
        b"n,a=somebody,n=,r=abc",
        b"n,,m=ext,n=,r=abc",
        b"n,,n=a=b,r=abc",
        b"n,,r=abc",
        b"n,,n=,r=",
        b"n,,n=,r=a b",
        b"n,,n=,r=\xff",
    ],
)
def test_a_malformed_first_message(message: bytes):
    with pytest.raises(ProtocolViolation):
        ScramServer("x").first(message)


@given(st.binary(max_size=60))
def test_any_first_message_is_one_or_a_violation(message: bytes):
    with suppress(ProtocolViolation):
        ScramServer("x").first(message)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"c=biws", b"c=eSws"),
        (b",r=", b",r=x"),
        (b",p=", b",q="),
        (b",p=", b",p=!"),
        (b"=biws,r=", b"=biws,x=1,r="),
    ],
)
def test_a_malformed_final_message(old: bytes, new: bytes):
    server, bare = ScramServer("x"), b"n=,r=abc"
    challenge = server.first(b"n,," + bare)
    server.derive()
    good = prove("x", b"n,,", challenge, bare)
    with pytest.raises(ProtocolViolation):
        server.final(good.replace(old, new))


@given(st.binary(max_size=60))
def test_any_final_message_is_one_or_a_violation(message: bytes):
    server = ScramServer("x")
    server.first(b"n,,n=,r=abc")
    server._key = b"k" * 32
    with suppress(ProtocolViolation):
        assert server.final(message) is None


def test_an_exchange_shows_no_secret():
    assert "hunter2" not in repr(ScramServer("hunter2"))
