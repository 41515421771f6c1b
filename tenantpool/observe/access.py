"""Who looks at the dashboard, and what they may see and do there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from time import monotonic, time
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from tenantpool.errors import NotAllowed, NotAuthenticated
from tenantpool.service.identity import Guard, Identity

from .logins import COOKIE, Logins
from .throttle import Throttle

_BEARER = "bearer "
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers of a proxy: whoever is behind it need not be on this host."""


class TooManyTries(NotAuthenticated):
    """The address tried wrong tokens: ``retry_after`` seconds are to pass before the next."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many wrong tokens; try again in {retry_after:.0f} s")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who may look."""

    name: str
    """Of the identity; empty: somebody on this host who has not logged in."""
    may_administer: bool = False
    may_read_statements: bool = False
    """Whether the texts of statements are shown: they can hold data of tenants."""
    cookie: str = ""
    """Of the login; empty: there is none, or the token comes with each request."""


class Access:
    """Decides who a request comes from."""

    def __init__(self, guard: Guard, *, metrics_open: bool) -> None:
        self._guard = guard
        self._metrics_open = metrics_open
        self._throttle = Throttle()
        self.logins = Logins()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._guard!r}, {self.logins!r}>"

    @property
    def offers_login(self) -> bool:
        """Whether there is a token to log in with."""
        return self._guard.knows_tokens

    def visitor(self, request: HTTPConnection) -> Visitor:
        """Who looks. Raises NotAuthenticated, TooManyTries, NotAllowed."""
        token = _bearer(request.headers)
        if token:
            return self._of(self._known(request, token))
        visitor = self._logged_in(request.cookies.get(COOKIE, ""))
        if visitor is not None:
            return visitor
        if is_local(request):
            return Visitor("", may_read_statements=self._guard.trusts_host)
        raise NotAuthenticated(self._advice())

    def may_scrape(self, request: HTTPConnection) -> None:
        """Return if it may read the metrics; raises as ``visitor``."""
        if not self._metrics_open:
            self.visitor(request)

    def log_in(self, request: HTTPConnection, token: str) -> str:
        """The cookie for who shows *token*. Raises NotAuthenticated, TooManyTries, NotAllowed."""
        identity = self._known(request, token)
        self._of(identity)
        return self.logins.begin(time(), identity)

    def check_form(self, request: HTTPConnection, token: str, name: str = COOKIE) -> None:
        """Raises NotAllowed unless a form was sent from a page of ours, made for this visitor.

        *name* is that of the cookie which the form's *token* belongs to.
        """
        if not is_same_origin(request):
            raise NotAllowed("the form was sent from another site")
        cookie = request.cookies.get(name, "")
        if not self.logins.is_form_token(cookie, token):
            raise NotAllowed("the form is out of date: load the page again")

    def _logged_in(self, cookie: str) -> Visitor | None:
        """Whose login it is, with the rights of now; None: nobody's (any more).

        A login ends when its token is changed or removed, or is no longer one to look with.
        """
        identity = self.logins.check(time(), cookie)
        if identity is None:
            return None
        try:
            return self._of(self._guard.again(identity), cookie)
        except (NotAuthenticated, NotAllowed):
            self.logins.end(cookie)
            return None

    def _known(self, request: HTTPConnection, token: str) -> Identity:
        address = request.client.host if request.client is not None else ""
        if wait := self._throttle.wait(monotonic(), address):
            raise TooManyTries(wait)
        try:
            identity = self._guard.by_token(token)
        except NotAuthenticated:
            self._throttle.failed(monotonic(), address)
            raise
        self._throttle.succeeded(address)
        return identity

    def _of(self, identity: Identity, cookie: str = "") -> Visitor:
        if not (identity.may_observe or identity.may_administer):
            raise NotAllowed(f"{identity.name} may not look: it needs observe or administer")
        return Visitor(
            identity.name,
            may_administer=identity.may_administer,
            may_read_statements=True,
            cookie=cookie,
        )

    def _advice(self) -> str:
        if self._guard.knows_tokens:
            return "log in with the token of an identity that has observe or administer"
        return (
            "only this host may look: give an identity in service.identities a token and "
            "observe or administer, to look from elsewhere"
        )


def is_local(request: HTTPConnection) -> bool:
    """Whether it comes from this host, asks for it by a name of its own, and through no proxy.

    The name matters: a page elsewhere can let its own name point here, and then read what comes.
    """
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    return _is_loopback(request.client.host) and _is_loopback(_host(request.headers))


def is_same_origin(request: HTTPConnection) -> bool:
    """Whether a browser sends it from a page of ours. One that does not say, does not."""
    origin = urlsplit(request.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc == request.headers.get("host", "")


def _bearer(headers: Mapping[str, str]) -> str:
    value = headers.get("authorization", "")
    return value[len(_BEARER) :] if value[: len(_BEARER)].lower() == _BEARER else ""


def _host(headers: Mapping[str, str]) -> str:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
