"""SCRAM-SHA-256 (RFC 5802 and 7677), the server's side, without channel binding."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from typing import Final

from .protocol import ProtocolViolation

MECHANISM: Final = "SCRAM-SHA-256"
ITERATIONS: Final = 4096

_SALT_BYTES = 16
_NONCE_BYTES = 18
_KEY_BYTES = 32
# Printable ASCII but the comma.
_NONCE = re.compile(rb"r=([\x21-\x2b\x2d-\x7e]+)")
_NAME = re.compile(rb"n=(?:[^\0,=]|=2C|=3D)*")


class ScramServer:
    """One exchange: ``first``, ``derive``, ``final``, in this order.

    *password* is what the client must know. It is taken as it is, without SASLprep, so it should
    be ASCII. Nonce and salt are random: an exchange tells nothing about whether a user exists.
    """

    def __init__(self, password: str) -> None:
        self._password = password
        self._salt = secrets.token_bytes(_SALT_BYTES)
        self._nonce = base64.b64encode(secrets.token_bytes(_NONCE_BYTES))
        self._binding = b""
        self._transcript = b""
        self._key = b""

    def __repr__(self) -> str:
        state = "ready to prove" if self._key else "begun" if self._transcript else "new"
        return f"<{type(self).__name__} {state}>"

    def first(self, message: bytes) -> bytes:
        """Take the client's first message; return the server's. Raises ProtocolViolation."""
        header, bare = _split_header(message)
        attributes = bare.split(b",")
        if len(attributes) < 2 or not _NAME.fullmatch(attributes[0]):
            raise _malformed("the user name is missing")
        nonce = _NONCE.fullmatch(attributes[1])
        if nonce is None:
            raise _malformed("the nonce is missing, or has a character that is not allowed")
        self._nonce = nonce[1] + self._nonce
        self._binding = b"c=" + base64.b64encode(header)
        challenge = b"r=%b,s=%b,i=%d" % (self._nonce, base64.b64encode(self._salt), ITERATIONS)
        self._transcript = bare + b"," + challenge
        return challenge

    def derive(self) -> None:
        """Compute the salted password. Takes one to two milliseconds of CPU, without the GIL."""
        secret = self._password.encode()
        self._key = hashlib.pbkdf2_hmac("sha256", secret, self._salt, ITERATIONS, _KEY_BYTES)

    def final(self, message: bytes) -> bytes | None:
        """Take the client's proof; return the server's, or None if it is wrong.

        Raises ProtocolViolation.
        """
        without_proof, comma, last = message.rpartition(b",")
        attributes = without_proof.split(b",")
        if not comma or not last.startswith(b"p=") or len(attributes) < 2:
            raise _malformed("the proof is missing")
        if attributes[0] != self._binding:
            raise _malformed("the channel binding is not what it was")
        proof = _decode(last[2:])
        same_nonce = hmac.compare_digest(attributes[1], b"r=" + self._nonce)
        if not same_nonce:
            raise _malformed("the nonce is not what it was")
        transcript = self._transcript + b"," + without_proof
        if not self._is_right(proof, transcript):
            return None
        server_key = _hmac(self._key, b"Server Key")
        return b"v=" + base64.b64encode(_hmac(server_key, transcript))

    def _is_right(self, proof: bytes, transcript: bytes) -> bool:
        """The proof hides the client's key behind a signature that only its hash can make."""
        stored_key = hashlib.sha256(_hmac(self._key, b"Client Key")).digest()
        signature = _hmac(stored_key, transcript)
        client_key = bytes(p ^ s for p, s in zip(proof, signature, strict=True))
        return hmac.compare_digest(hashlib.sha256(client_key).digest(), stored_key)


def _split_header(message: bytes) -> tuple[bytes, bytes]:
    """The gs2 header with its commas, and what follows. ``y``: the client could bind channels."""
    parts = message.split(b",", 2)
    if len(parts) < 3:
        raise _malformed("it is too short")
    flag, identity, bare = parts
    if flag.startswith(b"p="):
        raise ProtocolViolation("channel binding was not offered, but the client requires it")
    if flag not in (b"n", b"y"):
        raise _malformed("the channel-binding flag is none")
    if identity:
        raise ProtocolViolation(
            "the client uses an authorization identity, which is not supported", "0A000"
        )
    if bare.startswith(b"m="):
        raise ProtocolViolation("the client requires an unsupported SCRAM extension", "0A000")
    return flag + b",,", bare


def _decode(proof: bytes) -> bytes:
    try:
        raw = base64.b64decode(proof, validate=True)
    except binascii.Error:
        raise _malformed("the proof is not base64") from None
    if len(raw) != _KEY_BYTES:
        raise _malformed("the proof has the wrong length")
    return raw


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _malformed(why: str) -> ProtocolViolation:
    return ProtocolViolation(f"malformed SCRAM message: {why}")
