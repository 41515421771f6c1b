"""Who is logged in: a signed cookie, under a key that dies with the service."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

COOKIE = "tenantpool_login"
FORM_COOKIE = "tenantpool_form"
LIFETIME = 12 * 3600.0
"""Seconds."""


class Logins:
    """Makes and checks cookies, and the tokens of their forms. *now* is seconds since the epoch."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._ended: dict[str, float] = {}
        """Cookies that were logged out, until they would have ended anyway."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._ended)} logged out>"

    def begin(self, now: float, name: str) -> str:
        """The cookie of the identity *name*."""
        said = f"{secrets.token_urlsafe(12)}.{int(now + LIFETIME)}.{name}"
        return f"{self._sign('login', said)}.{said}"

    def check(self, now: float, cookie: str) -> str | None:
        """The identity's name that *cookie* was made for; None: it is not valid (any more)."""
        signature, _, said = cookie.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("login", said).encode()):
            return None
        _, ends_at, name = said.split(".", 2)
        return None if now >= int(ends_at) or cookie in self._ended else name

    def end(self, now: float, cookie: str) -> None:
        """Log out."""
        if self.check(now, cookie) is None:
            return
        for old in [each for each, ends_at in self._ended.items() if ends_at <= now]:
            del self._ended[old]
        self._ended[cookie] = now + LIFETIME

    def new_form(self) -> str:
        """The cookie of somebody who is about to log in."""
        return secrets.token_urlsafe(12)

    def form_token(self, cookie: str) -> str:
        """What a form must send along, so that it is known to come from a page of ours."""
        return self._sign("form", cookie)

    def is_form_token(self, cookie: str, token: str) -> bool:
        """Whether *token* was made for the holder of *cookie*."""
        expected = self.form_token(cookie)
        return bool(cookie) and hmac.compare_digest(token.encode(), expected.encode())

    def _sign(self, purpose: str, said: str) -> str:
        digest = hmac.new(self._key, f"{purpose}:{said}".encode(), sha256).digest()
        return urlsafe_b64encode(digest).decode().rstrip("=")
