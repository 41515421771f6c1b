"""Pages that stay up to date: server-sent events, one stream for each page that is open."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from time import monotonic

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from tenantpool.errors import NotAuthenticated, TenantpoolError
from tenantpool.journal import logger

from . import render
from .access import Access, Visitor
from .look import Look
from .views import View, view_of

_MOST = 100
"""Pages that are looked at live at a time."""
_REST = 100
"""A page that took long to make is made again after so many times as long: so making it takes no
more than a hundredth of a core, however many tenants there are."""


class Live:
    """Streams the ``main`` of a page when it has changed, and the points of its charts."""

    def __init__(self, look: Look, access: Access) -> None:
        self._look = look
        self._access = access

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._look.hub.viewers} of {_MOST}>"

    async def answer(self, request: Request) -> Response:
        """Begin a stream of the page that the parameter ``view`` names, with its own query."""
        visitor = self._access.visitor(request)
        view = view_of(request.query_params.get("view", ""))
        if view is None or not view.is_live:
            return PlainTextResponse("there is no such page\n", 404)
        if self._look.hub.viewers >= _MOST:
            return PlainTextResponse(f"{_MOST} pages are looked at live already\n", 503)
        headers = {"X-Accel-Buffering": "no"}
        stream = self._stream(request, view, visitor)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def _stream(self, request: Request, view: View, visitor: Visitor) -> AsyncIterator[str]:
        hub = self._look.hub
        hub.enter()
        try:
            if view.pulse is not None:
                points = [point.as_dict() for point in hub.pulse.points(view.pulse)]
                yield _event("past", points)
            last, due = "", 0.0
            while await hub.next_tick():
                if self._access.visitor(request) != visitor:
                    raise NotAuthenticated("log in again: your rights have changed")
                if (began := monotonic()) >= due:
                    html = await self._made(request, view, visitor)
                    due = began + _REST * (monotonic() - began)
                    if html != last:
                        last = html
                        yield _event("page", html)
                point = hub.pulse.latest(view.pulse) if view.pulse is not None else None
                yield _event("point", point.as_dict()) if point is not None else ":\n\n"
        except TenantpoolError as error:
            yield _event("end", str(error))
        except Exception:
            logger.exception("a live page failed")
        finally:
            hub.leave()

    async def _made(self, request: Request, view: View, visitor: Visitor) -> str:
        """The page's ``main``, made once for all who may see the same."""
        query = {name: value for name, value in request.query_params.items() if name != "view"}

        async def make() -> str:
            values = await view.make(self._look, visitor, query, view.of)
            return await render.main(view.template, values | {"visitor": visitor})

        rights = (visitor.may_administer, visitor.may_read_statements)
        key = (view.template, view.of, tuple(sorted(query.items())), rights)
        html = await self._look.hub.made(key, make)
        return html.replace(render.FORM_TOKEN, self._access.logins.form_token(visitor.cookie))


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
