"""The web site: which address leads where, and how errors look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tenantpool.errors import (
    BadRequest,
    ConfigError,
    LeaseEnded,
    NotAllowed,
    NotAuthenticated,
    TenantpoolError,
    UnknownTenant,
)

from . import render
from .access import Access, TooManyTries, Visitor
from .activity import Watcher
from .advisor import Advisor
from .assets import Assets
from .hub import Hub
from .live import Live
from .logins import COOKIE, FORM_COOKIE, LIFETIME, Notice
from .look import Look
from .metrics import CONTENT_TYPE, Exporter
from .shield import Shield
from .source import Source
from .steering import act
from .views import view_of

_STATUS: dict[type[TenantpoolError], int] = {
    BadRequest: 400,
    ConfigError: 409,
    NotAllowed: 403,
    UnknownTenant: 404,
    LeaseEnded: 410,
}
_LONGEST_FORM = 4096
_ENDED = "Your login has ended: after twelve hours, or as its token was changed or removed."


class Site:
    """Answers requests over HTTP."""

    def __init__(self, source: Source, *, is_secure: bool) -> None:
        """*is_secure*: it is reached with TLS only, so cookies are, too."""
        rules = source.manager.settings.service
        self._source = source
        self._is_secure = is_secure
        self.hub = Hub(source)
        self.look = Look(source, self.hub, Watcher(), Advisor(source.manager))
        self.access = Access(source.guard, metrics_open=rules.metrics_open)
        most = None if rules.metrics_tenants == "all" else rules.metrics_tenants
        self._exporter = Exporter(source, most)
        self._live = Live(self.look, self.access)
        self._assets = Assets(render.STATIC)
        self.app = Starlette(
            routes=[
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
                Route("/live", self._live.answer),
                Route("/static/{name}", self._assets.answer),
                Route("/login", self._login_page),
                Route("/login", self._log_in, methods=["POST"]),
                Route("/logout", self._log_out, methods=["POST"]),
                Route("/act/{action}", self._act, methods=["POST"]),
                Route("/{path:path}", self._page),
            ],
            middleware=[Middleware(Shield)],
            exception_handlers={TenantpoolError: self._error},
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.hub!r}>"

    def start(self) -> None:
        """Begin to take points. Does not block."""
        self.hub.start()

    async def close(self) -> None:
        """End what streams and what is being found out. Blocks for a moment."""
        await self.hub.close()
        await self.look.advisor.close()

    # -- for programs --------------------------------------------------------------------------

    async def _healthz(self, request: Request) -> Response:
        """It answers, so it lives."""
        return PlainTextResponse("ok\n")

    async def _readyz(self, request: Request) -> Response:
        """Whether it lends. A database that is away is no reason: others need not be."""
        if self._source.desk.is_open:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("closing: no new leases\n", 503)

    async def _metrics(self, request: Request) -> Response:
        self.access.may_scrape(request)
        text = await self._exporter.expose()
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    # -- for people ----------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        visitor = self.access.visitor(request)
        view = view_of(request.path_params["path"])
        if view is None:
            return await self._message(request, 404, "There is no such page", "")
        query = dict(request.query_params)
        values = await view.make(self.look, visitor, query, view.of)
        more = {"title": view.title, "pulse": view.pulse, "is_live": view.is_live}
        return await self._html(request, visitor, view.template, values | more)

    async def _html(
        self, request: Request, visitor: Visitor | None, template: str, values: Mapping[str, Any]
    ) -> Response:
        path = request.url.path
        common: dict[str, Any] = {
            "visitor": visitor,
            "path": path,
            "asset": self._assets.url,
            "offers_login": self.access.offers_login,
            "service": self._source.manager.settings.service.name,
        }
        cookie = visitor.cookie if visitor is not None else ""
        has_ended = visitor is not None and not visitor.name and COOKIE in request.cookies
        notice = self.access.logins.take_notice(cookie)
        common["notice"] = Notice(_ENDED, is_problem=True) if has_ended else notice
        html = await render.page(template, common | dict(values))
        form_token = self.access.logins.form_token(cookie)
        response = HTMLResponse(html.replace(render.FORM_TOKEN, form_token))
        if has_ended:
            response.delete_cookie(COOKIE)
        return response

    async def _act(self, request: Request) -> Response:
        visitor = self.access.visitor(request)
        form = await _form(request)
        if not visitor.may_administer:
            raise NotAllowed(self._no_administrator(visitor))
        if visitor.cookie:
            self.access.check_form(request, form.get("token", ""))
        try:
            said = await act(self._source, visitor.name, form, request.path_params["action"])
        except TenantpoolError as error:
            if not (visitor.cookie and _is_person(request)):
                raise
            notice = Notice(f"That did not work: {error}", is_problem=True)
        else:
            notice = Notice(said)
        self.access.logins.notify(visitor.cookie, notice)
        return RedirectResponse(_local(form.get("back", "/")), 303)

    def _no_administrator(self, visitor: Visitor) -> str:
        if visitor.name:
            return f"{visitor.name} may not administer"
        return "log in with the token of an identity that has administer"

    # -- login ---------------------------------------------------------------------------------

    async def _login_page(self, request: Request) -> Response:
        problem = _ENDED if "ended" in request.query_params else ""
        return await self._login_form(request, problem, 200)

    async def _login_form(self, request: Request, problem: str, status: int) -> Response:
        cookie = request.cookies.get(FORM_COOKIE) or self.access.logins.new_form()
        token = self.access.logins.form_token(cookie)
        values = {"title": "Log in", "problem": problem, "token": token, "pulse": None}
        values |= {"next": _local(request.query_params.get("next", "/"))}
        response = await self._html(request, None, "login.html", values)
        response.status_code = status
        self._set_cookie(response, FORM_COOKIE, cookie, 3600)
        return response

    async def _log_in(self, request: Request) -> Response:
        form = await _form(request)
        self.access.check_form(request, form.get("form", ""), FORM_COOKIE)
        try:
            cookie = self.access.log_in(request, form.get("token", ""))
        except TooManyTries as error:
            return await self._login_form(request, str(error), 429)
        except (NotAuthenticated, NotAllowed) as error:
            return await self._login_form(request, str(error), 403)
        response = RedirectResponse(_local(form.get("next", "/")), 303)
        self._set_cookie(response, COOKIE, cookie, int(LIFETIME))
        response.delete_cookie(FORM_COOKIE)
        return response

    async def _log_out(self, request: Request) -> Response:
        form = await _form(request)
        self.access.check_form(request, form.get("token", ""))
        self.access.logins.end(request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/", 303)
        response.delete_cookie(COOKIE)
        return response

    def _set_cookie(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            secure=self._is_secure,
            httponly=True,
            samesite="strict",
        )

    # -- errors --------------------------------------------------------------------------------

    async def _error(self, request: Request, error: Exception) -> Response:
        """As a page for people, who may be able to log in, and as a line for programs."""
        headers: dict[str, str] = {}
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
        if isinstance(error, TooManyTries):
            status, headers = 429, {"Retry-After": str(max(1, round(error.retry_after)))}
        elif isinstance(error, NotAuthenticated):
            if _is_person(request) and self.access.offers_login:
                ended = "&ended=1" if COOKIE in request.cookies else ""
                return RedirectResponse(f"/login?next={quote(request.url.path)}{ended}", 303)
            status, headers = 401, {"WWW-Authenticate": "Bearer"}
        if not _is_person(request):
            return PlainTextResponse(f"{error}\n", status, headers)
        return await self._message(request, status, "That did not work", str(error), headers)

    async def _message(
        self,
        request: Request,
        status: int,
        title: str,
        text: str,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        response = await self._html(request, None, "message.html", {"title": title, "text": text})
        response.status_code = status
        response.headers.update(headers or {})
        return response


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form. BadRequest if it is too long, or none."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind != "application/x-www-form-urlencoded":
        raise BadRequest("a form must be application/x-www-form-urlencoded")
    text = b""
    async for chunk in request.stream():
        text += chunk
        if len(text) > _LONGEST_FORM:
            raise BadRequest("the form is too long")
    return dict(parse_qsl(text.decode("utf-8", "replace"), keep_blank_values=True))


def _is_person(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _local(address: str) -> str:
    """*address* if it is a page of ours; else the first one."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_ours and address.isprintable() else "/"
