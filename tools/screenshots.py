"""Take the pictures of the dashboard that README and docs show, from a service under load.

    python tools/screenshots.py                 writes docs/images/*.png
    python tools/screenshots.py --all FOLDER    three widths, both themes, 8 and 10,000 tenants

Needs Chromium on the PATH and the extra ``embedded``; those that are there were taken with Debian's
``fonts-inter`` and ``fonts-jetbrains-mono``, which the pages prefer. Starts a PostgreSQL, the
service and its load, all of which end with it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep, time
from types import FunctionType
from typing import Any, ParamSpec

P = ParamSpec("P")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psycopg  # noqa: E402
import yaml  # noqa: E402

from tenantpool.client import AsyncLeaseClient  # noqa: E402
from tenantpool.config import Settings  # noqa: E402
from tenantpool.embedded import EmbeddedPostgres  # noqa: E402
from tenantpool.errors import ConfigError, TenantpoolError  # noqa: E402
from tenantpool.insight import Insight, Options  # noqa: E402
from tenantpool.service.overriding import Wish  # noqa: E402
from tenantpool.service.reload import CALL, Origin  # noqa: E402
from tenantpool.service.server import Server  # noqa: E402
from tests.support.browser import MISSING, Browser, find_browser  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDTHS = {"wide": 1360, "tablet": 820, "phone": 390}
NAMES = ("acme", "globex", "initech", "hooli", "umbrella", "stark", "wayne", "ghost")
TIERS = ("enterprise", "pro", "pro", "basic")
TOKEN = "a-token-for-the-pictures"
WARM_UP = 40.0
"""Seconds until the charts have something to show."""
SCHEMA = """
create table customers (id int primary key, name text not null);
insert into customers select n, 'customer ' || n from generate_series(1, 1000) n;
create table orders (id int primary key, customer int not null, total int not null);
insert into orders select n, n % 1000 + 1, n % 997 from generate_series(1, 200000) n;
create view order_history as select o.* from orders o, (select pg_sleep(0.6)) slowly;
analyze;
"""
SOON = {"after": 5, "resolve_after": 5}


def few() -> list[tuple[str, float]]:
    """Eight tenants and how much they ask for."""
    return list(zip(NAMES, (9, 7, 5, 4, 3, 2, 1, 1), strict=True))


def many() -> list[tuple[str, float]]:
    """Ten thousand, of which some ask for most."""
    return [(f"tenant-{number:05}", (number + 3) ** -1.3) for number in range(10_000)]


def settings(tenants: Sequence[tuple[str, float]], dsn: str, folder: Path) -> dict[str, Any]:
    """They share a database, but for the ghost, whose is not there."""
    placed = {
        name: {
            "tier": TIERS[number % len(TIERS)],
            "dbname": "gone" if name == "ghost" else "postgres",
            "settings": {"app.tenant": name},
        }
        for number, (name, _) in enumerate(tenants)
    }
    basic = {"min_size": 0, "max_idle": 20}
    scaled = {"floor": 4, "ceiling": 12, "interval": 1}
    return {
        "databases": {"main": {"conninfo": dsn, "capacity": 41}},
        "tiers": {
            "basic": basic | {"cap": 3, "leak_after": 5},
            "pro": basic
            | {"cap": 8, "weight": 3, "acquire_timeout": 2, "max_waiting": 10}
            | {"autoscale": scaled},
            "enterprise": basic
            | {"cap": 16, "weight": 8, "guarantee": 1 if len(tenants) < 9 else 0},
        },
        "tenants": placed,
        "template": {"enabled": False},
        "alerts": {
            "interval": 1,
            "saturated": SOON,
            "wait_too_long": SOON,
            "tenant_breakers_open": SOON,
            "refusals": {"after": 600},
        },
        "service": {
            "folder": str(folder),
            "state": str(folder),
            "listen": ["127.0.0.1"],
            "grpc_port": 0,
            "gateway_port": 0,
            "http_port": 0,
            "session_ttl": 6,
            "identities": {
                "operator": {"token": TOKEN, "administer": True},
                "orders-api": {"uids": [0, 1000], "tenants": ["*"]},
            },
        },
    }


def in_app(work: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
    """*work* as if it stood in a program that is deployed: findings name its place."""
    assert isinstance(work, FunctionType)
    work.__code__ = work.__code__.replace(co_filename="/app/orders.py")
    return work


@in_app
async def list_orders(conn: psycopg.AsyncConnection[Any]) -> None:
    """N+1, as it is usually written."""
    cursor = await conn.execute("select id, customer from orders where id < %s", [14])
    for _, customer in await cursor.fetchall():
        await conn.execute("select name from customers where id = %s", [customer])


@in_app
async def monthly_report(conn: psycopg.AsyncConnection[Any]) -> None:
    """A slow statement, which no index helps."""
    await conn.execute("select * from order_history where total > %s order by customer", [990])


@in_app
async def check_out(conn: psycopg.AsyncConnection[Any]) -> None:
    """Waits for somebody else in the middle of a transaction."""
    await conn.execute("select total from orders where id = %s for update", [17])
    await asyncio.sleep(4)


@in_app
async def serve(
    leases: AsyncLeaseClient,
    tenant: str,
    work: Callable[[psycopg.AsyncConnection[Any]], Awaitable[None]],
) -> None:
    """A request of a customer."""
    async with leases.connection(tenant, timeout=30) as conn:
        await work(conn)


@in_app
async def forget(leases: AsyncLeaseClient, tenant: str) -> None:
    """A leak."""
    await leases.acquire(tenant, timeout=30)


class Stage(threading.Thread):
    """The service and those who borrow from it, in a loop of their own."""

    def __init__(self, made: dict[str, Any], tenants: Sequence[tuple[str, float]]) -> None:
        super().__init__(name="stage")
        self._settings = made
        self._tenants = tenants
        self._over = threading.Event()
        self.ready = threading.Event()
        self.url = ""

    def run(self) -> None:
        try:
            asyncio.run(self._play())
        finally:
            self.ready.set()

    def end(self) -> None:
        """Take the curtain down. Blocks until it is."""
        self._over.set()
        self.join()

    async def _play(self) -> None:
        server = Server(Settings(**self._settings))
        await server.start()
        assert server.http is not None
        await self._operate(server)
        self.url = server.http.addresses[0]
        self.ready.set()
        target = server.targets[0]
        workers = [asyncio.create_task(self._crowd(target, number)) for number in range(3)]
        workers.append(asyncio.create_task(self._careless(target)))
        await asyncio.to_thread(self._over.wait)
        for worker in workers:
            worker.cancel()
        for outcome in await asyncio.gather(*workers, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                print(f"the load failed: {outcome!r}")
        await server.stop(0.0)

    async def _operate(self, server: Server) -> None:
        """What operators have done: overrides, a mistake, and a change that was meant."""
        operator = server.guard.named("operator")
        assert operator is not None
        promoted, suspended = self._tenants[2][0], self._tenants[6][0]
        launch = Wish(promoted, "enterprise", None, time() + 7200, "their launch")
        await server.overriding.set(launch, operator)
        bill = Wish(suspended, None, True, None, "bill open since October")
        await server.overriding.set(bill, operator)
        for waiting in ("ten", 12):
            pro = self._settings["tiers"]["pro"] | {"max_waiting": waiting}
            tiers = self._settings["tiers"] | {"pro": pro}
            text = yaml.safe_dump(self._settings | {"tiers": tiers})
            with suppress(ConfigError):
                await server.reloader.reload(Origin(CALL, operator), yaml=text)

    async def _crowd(self, target: str, number: int) -> None:
        async with AsyncLeaseClient(target, worker=f"orders-{number + 1}") as leases:
            tasks = 22 if len(self._tenants) < 9 else 14
            await asyncio.gather(*[self._borrow(leases) for _ in range(tasks)])

    async def _borrow(self, leases: AsyncLeaseClient) -> None:
        names, weights = zip(*self._tenants, strict=True)
        while True:
            (name,) = random.choices(names, weights)
            hold = random.choice((0.02, 0.05, 0.1, 0.3, 1.5))
            try:
                async with leases.connection(name, timeout=1.5) as conn:
                    await conn.execute("select pg_sleep(%s)", [hold])
            except (TenantpoolError, psycopg.Error):
                await asyncio.sleep(0.2)
            await asyncio.sleep(random.random() * 0.05)

    async def _careless(self, target: str) -> None:
        """A worker whose statements should be looked at; one of its leases leaks."""
        insight = Insight(Options(explain=True, slow=0.5, idle_in_transaction=2))
        acme, globex, _, hooli, *_ = (name for name, _ in self._tenants)
        async with AsyncLeaseClient(target, worker="reports-1", insight=insight) as leases:
            await forget(leases, hooli)
            while True:
                for name, work in (
                    *((acme, list_orders), (globex, list_orders), (acme, monthly_report)),
                    *((globex, check_out),),
                ):
                    with suppress(TenantpoolError, psycopg.Error):
                        await serve(leases, name, work)
                await asyncio.sleep(5)


@contextmanager
def stage(tenants: Sequence[tuple[str, float]]) -> Iterator[str]:
    """A service under load; its address."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(settings={"max_connections": "60"}) as server,
    ):
        server.execute(SCHEMA)
        made = Stage(settings(tenants, server.dsn(host="127.0.0.1"), Path(folder)), tenants)
        made.start()
        try:
            made.ready.wait()
            assert made.url, "the service did not start"
            yield made.url
        finally:
            made.end()


def pages(tenants: Sequence[tuple[str, float]]) -> dict[str, str]:
    """What pictures are taken of."""
    return {
        "overview": "/",
        "tenants": "/tenants",
        "tenant": f"/tenants/{tenants[0][0]}",
        "database": "/databases/main",
        "leases": "/leases",
        "findings": "/findings",
        "alerts": "/alerts",
        "configuration": "/configuration",
        "login": "/login",
    }


def log_in(browser: Browser, url: str) -> None:
    browser.open(f"{url}/login")
    browser.value("document.querySelector('input[name=token]').focus()")
    browser.type(TOKEN)
    browser.click("form button.strong")
    browser.wait_for("document.querySelector('.who form')")


def take_all(folder: Path) -> None:
    """Everything, for somebody to look at."""
    for count, tenants in (("8", few()), ("10000", many())):
        with stage(tenants) as url, Browser() as browser:
            log_in(browser, url)
            sleep(WARM_UP)
            for (page, path), (name, width), dark in (
                (p, w, d) for p in pages(tenants).items() for w in WIDTHS.items() for d in (0, 1)
            ):
                theme = "dark" if dark else "light"
                browser.resize(width, 900 if width > 600 else 844, dark=bool(dark))
                browser.open(url + path)
                sleep(1.5)
                browser.screenshot(folder / f"{count}-{page}-{name}-{theme}.png", whole=True)
            for complaint in browser.console:
                print(f"the page complains: {complaint}")


def take_few() -> None:
    """The pictures of the README and of docs/dashboard.md."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with stage(few()) as url, Browser() as browser:
        log_in(browser, url)
        sleep(3 * WARM_UP)
        for name, path, size, dark in (
            ("overview-light", "/", (1280, 1080), False),
            ("overview-dark", "/", (1280, 1080), True),
            ("overview-phone", "/", (390, 844), True),
            ("tenant", f"/tenants/{NAMES[0]}", (1280, 1160), False),
            ("database", "/databases/main", (1280, 860), False),
            ("findings", "/findings", (1280, 700), False),
            ("configuration", "/configuration", (1280, 700), True),
        ):
            browser.resize(*size, dark=dark)
            browser.open(url + path)
            sleep(2)
            browser.screenshot(IMAGES / f"{name}.png")
    with stage(many()) as url, Browser() as browser:
        log_in(browser, url)
        sleep(WARM_UP)
        browser.resize(1280, 1160)
        browser.open(f"{url}/tenants")
        sleep(2)
        browser.screenshot(IMAGES / "tenants.png")


def main() -> int:
    parser = argparse.ArgumentParser(description="take pictures of the dashboard")
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page, to be looked at")
    options = parser.parse_args()
    if find_browser() is None:
        print(f"error: {MISSING}", file=sys.stderr)
        return 1
    if options.all is None:
        take_few()
    else:
        options.all.mkdir(parents=True, exist_ok=True)
        take_all(options.all)
    return 0


if __name__ == "__main__":
    sys.exit(main())
