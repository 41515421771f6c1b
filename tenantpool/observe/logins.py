"""Who is logged in: a random cookie, which only the service that made it knows."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from tenantpool.service.identity import Identity

COOKIE = "tenantpool_login"
FORM_COOKIE = "tenantpool_form"
LIFETIME = 12 * 3600.0
"""Seconds."""
_MOST = 1000
"""Logins at a time; one more ends the oldest."""


class Notice(NamedTuple):
    """What became of something that was done: shown once, on the next page."""

    text: str
    is_problem: bool = False


@dataclass(slots=True)
class _Login:
    identity: Identity
    ends_at: float
    notice: Notice | None = None


class Logins:
    """Makes and checks cookies, and the tokens of their forms. *now* is seconds since the epoch."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._logins: dict[str, _Login] = {}
        """By cookie, the oldest first."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._logins)} logged in>"

    def begin(self, now: float, identity: Identity) -> str:
        """The cookie of *identity*."""
        for old in [each for each, login in self._logins.items() if login.ends_at <= now]:
            del self._logins[old]
        if len(self._logins) >= _MOST:
            del self._logins[next(iter(self._logins))]
        cookie = secrets.token_urlsafe(32)
        self._logins[cookie] = _Login(identity, now + LIFETIME)
        return cookie

    def check(self, now: float, cookie: str) -> Identity | None:
        """Who logged in and got *cookie*; None: it is not valid (any more)."""
        login = self._logins.get(cookie)
        return login.identity if login is not None and now < login.ends_at else None

    def end(self, cookie: str) -> None:
        """Log out, if that is a login."""
        self._logins.pop(cookie, None)

    def notify(self, cookie: str, notice: Notice) -> None:
        """Keep *notice* for the next page, if that is a login."""
        if login := self._logins.get(cookie):
            login.notice = notice

    def take_notice(self, cookie: str) -> Notice | None:
        """What is to be shown, once."""
        login = self._logins.get(cookie)
        if login is None:
            return None
        notice, login.notice = login.notice, None
        return notice

    def new_form(self) -> str:
        """The cookie of somebody who is about to log in."""
        return secrets.token_urlsafe(12)

    def form_token(self, cookie: str) -> str:
        """What a form must send along, so that it is known to come from a page of ours."""
        digest = hmac.new(self._key, cookie.encode(), sha256).digest()
        return urlsafe_b64encode(digest).decode().rstrip("=")

    def is_form_token(self, cookie: str, token: str) -> bool:
        """Whether *token* was made for the holder of *cookie*."""
        expected = self.form_token(cookie)
        return bool(cookie) and hmac.compare_digest(token.encode(), expected.encode())
