"""Passwords for the gateway that nobody keeps: they are computed from what they are for."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode


class Tickets:
    """Makes a ticket for a lease and a pass for a session.

    Each is the HMAC-SHA-256 of its name under a key that is drawn anew when the service starts
    and kept in its memory only. So nothing at rest is worth stealing, not even a hash, and a
    ticket of an earlier run opens nothing. That a ticket is valid once is the lease's to know.
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
        digest = hmac.digest(self._key, kind + b"\0" + name.encode(), "sha256")
        return urlsafe_b64encode(digest[:24]).decode("ascii")
