"""A service with its dashboard on real sockets, and a client that says exactly what it is told."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tenantpool.config import Settings
from tenantpool.service.server import Server
from tests.support.browser import Browser

OPERATOR = "a-token-of-the-operator"
WATCHER = "a-token-of-the-watcher"
WORKER = "a-token-of-the-worker"

IDENTITIES: dict[str, Any] = {
    "operator": {"token": OPERATOR, "administer": True},
    "watcher": {"token": WATCHER, "observe": True},
    "worker": {"token": WORKER, "tenants": ["*"]},
}

ELSEWHERE = {"host": "tenantpool.example"}
PERSON = {"accept": "text/html"}


def bearer(token: str) -> dict[str, str]:
    """The header that shows *token*."""
    return {"authorization": f"Bearer {token}"}


def settings(service: dict[str, Any] | None = None, **more: Any) -> Settings:
    values: dict[str, Any] = {
        "databases": {"main": {"conninfo": "host=/nowhere", "capacity": 5}},
        "tenants": {"acme": {"tier": "pro"}, "globex": {}},
        "template": {"enabled": False},
        **more,
    }
    ports = {"grpc_port": 0, "gateway_port": 0, "http_port": 0}
    nowhere = {"folder": None, "state": None}
    return Settings(**values, service={**ports, **nowhere, **(service or {})})


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str
    cookies: list[str] = field(default_factory=list)

    def form_token(self, name: str = "token") -> str:
        """The hidden field of the first form that has one."""
        found = re.search(rf'name="{name}" value="([^"]+)"', self.text)
        assert found is not None, self.text
        return found[1]


class Web:
    """Speaks HTTP/1.1, a connection for each request."""

    def __init__(self, url: str, context: ssl.SSLContext | None = None) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        self.host, self.port = place.hostname, place.port
        self.origin = url
        self.context = context

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, headers)

    async def post(self, path: str, form: Mapping[str, str], **headers: str) -> Answer:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return await self.ask("POST", path, kind | headers, urlencode(form))

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: str = ""
    ) -> Answer:
        reader, writer = await self.begin(method, path, headers, body)
        try:
            async with asyncio.timeout(20):
                answer = await _head(reader)
                answer.text = (await reader.read()).decode()
                return answer
        finally:
            writer.close()
            await writer.wait_closed()

    async def begin(
        self, method: str, path: str, headers: Mapping[str, str], body: str = ""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Ask, and read by yourself."""
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.context)
        said = {"host": f"{self.host}:{self.port}", "connection": "close"}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        said |= {"content-length": str(len(body))} if body else {}
        lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in said.items()), "", body]
        writer.write("\r\n".join(lines).encode())
        return reader, writer

    async def log_in(self, token: str = OPERATOR) -> str:
        """Log in as a browser does; the cookie of the login."""
        page = await self.get("/login")
        cookie = page.cookies[0].partition(";")[0]
        form = {"form": page.form_token("form"), "token": token, "next": "/"}
        answer = await self.post("/login", form, cookie=cookie, origin=self.origin)
        assert answer.status == 303, answer.text
        return answer.cookies[0].partition(";")[0]


async def _head(reader: asyncio.StreamReader) -> Answer:
    text = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = text.rstrip().split("\r\n")
    pairs = [(k.lower(), v) for k, _, v in (line.partition(": ") for line in lines)]
    cookies = [value for name, value in pairs if name == "set-cookie"]
    return Answer(int(first.split()[1]), dict(pairs), "", cookies)


@asynccontextmanager
async def serving(made: Settings) -> AsyncIterator[tuple[Server, Web]]:
    server = Server(made)
    await server.start()
    try:
        assert server.http is not None
        yield server, Web(server.http.addresses[0])
    finally:
        await server.stop(0.0)


@asynccontextmanager
async def web(service: dict[str, Any] | None = None, **more: Any) -> AsyncIterator[Web]:
    async with serving(settings({"identities": IDENTITIES} | (service or {}), **more)) as (_, web):
        yield web


class Events:
    """Reads a stream of server-sent events, chunk by chunk."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._text = ""

    async def next(self, kind: str) -> Any:
        """The data of the next event of that *kind*; others are skipped."""
        async with asyncio.timeout(20):
            while True:
                while "\n\n" not in self._text:
                    self._text += await self._chunk()
                event, _, self._text = self._text.partition("\n\n")
                name, _, data = event.partition("\ndata: ")
                if name == f"event: {kind}":
                    return json.loads(data)

    async def end(self) -> None:
        """Wait until the stream ends by itself."""
        async with asyncio.timeout(20):
            while await self._chunk():
                pass

    async def _chunk(self) -> str:
        size = int((await self._reader.readline()).strip() or b"0", 16)
        text = (await self._reader.readexactly(size)).decode()
        await self._reader.readline()
        return text


@asynccontextmanager
async def looking(web: Web, path: str, **headers: str) -> AsyncIterator[Events]:
    reader, writer = await web.begin("GET", f"/live?view={path}", headers)
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert "200 OK" in head
        assert "content-type: text/event-stream" in head
        yield Events(reader)
    finally:
        writer.close()
        await writer.wait_closed()


def client_context(authority: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority))
    context.check_hostname = False
    return context


def open_live(browser: Browser, url: str) -> None:
    """Open the page, and wait until it keeps itself up to date."""
    browser.open(url)
    browser.wait_for("document.getElementById('live')?.dataset.state === 'live'")


def log_in_by_hand(browser: Browser, url: str, token: str = OPERATOR) -> None:
    """Fill in the form of the dashboard at *url*."""
    browser.open(f"{url}/login")
    browser.value("document.querySelector('input[name=token]').focus()")
    browser.type(token)
    browser.press("Enter", 13, "\r")
    browser.wait_for("document.querySelector('.who form')")
