"""Passwords for the gateway that nobody keeps: they are computed from what they are for."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from hashlib import blake2b


class Tickets:
    """Makes a ticket for a lease and a pass for a session.

    Each is the keyed BLAKE2b (RFC 7693) of its name, under a key that is drawn anew when the
    service starts and kept in its memory only. So nothing at rest is worth stealing, not even a
    hash, and a ticket of an earlier run opens nothing. That a ticket is valid once is the lease's
    to know.
    """

    __slots__ = ("_key",)

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def ticket(self, lease_id: str) -> str:
        """The password that the gateway takes for this lease: 32 letters, 192 bits."""
        return self._sign(b"lease", lease_id)

    def session_pass(self, session_id: str) -> str:
        """The password that the gateway and further channels take for this session."""
        return self._sign(b"session", session_id)

    def _sign(self, kind: bytes, name: str) -> str:
        digest = blake2b(name.encode(), digest_size=24, key=self._key, person=kind).digest()
        return urlsafe_b64encode(digest).decode("ascii")
