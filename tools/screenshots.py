"""Take the pictures of the dashboard that the README shows, from a service under load.

    python tools/screenshots.py                 writes docs/images/*.png
    python tools/screenshots.py --all FOLDER    three widths, both themes, 8 and 10,000 tenants

Needs Chromium on the PATH and the extra ``embedded``. Starts a PostgreSQL, the service and its
load, all of which end with it.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import sleep

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import psycopg  # noqa: E402

from tenantpool.client import AsyncLeaseClient  # noqa: E402
from tenantpool.config import Settings  # noqa: E402
from tenantpool.embedded import EmbeddedPostgres  # noqa: E402
from tenantpool.errors import TenantpoolError  # noqa: E402
from tenantpool.service.server import Server  # noqa: E402
from tests.support.browser import MISSING, Browser, find_browser  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDTHS = {"wide": 1360, "tablet": 820, "phone": 390}
NAMES = ("acme", "globex", "initech", "hooli", "umbrella", "stark", "wayne", "ghost")
TIERS = ("enterprise", "pro", "pro", "basic")
TOKEN = "a-token-for-the-pictures"
WARM_UP = 40.0
"""Seconds until the charts have something to show."""


def few() -> list[tuple[str, float]]:
    """Eight tenants and how much they ask for."""
    return list(zip(NAMES, (9, 7, 5, 4, 3, 2, 1, 1), strict=True))


def many() -> list[tuple[str, float]]:
    """Ten thousand, of which some ask for most."""
    return [(f"tenant-{number:05}", 1 / (number + 20)) for number in range(10_000)]


def settings(tenants: Sequence[tuple[str, float]], dsn: str, folder: Path) -> Settings:
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
    return Settings(
        databases={"main": {"conninfo": dsn, "capacity": 41}},
        tiers={
            "basic": basic | {"cap": 3},
            "pro": basic | {"cap": 8, "weight": 3, "acquire_timeout": 2, "max_waiting": 10},
            "enterprise": basic
            | {"cap": 16, "weight": 8, "guarantee": 1 if len(tenants) < 9 else 0},
        },
        tenants=placed,
        template={"enabled": False},
        service={
            "folder": str(folder),
            "listen": ["127.0.0.1"],
            "grpc_port": 0,
            "gateway_port": 0,
            "http_port": 0,
            "identities": {
                "operator": {"token": TOKEN, "administer": True},
                "orders-api": {"uids": [0, 1000], "tenants": ["*"]},
            },
        },
    )


class Stage(threading.Thread):
    """The service and those who borrow from it, in a loop of their own."""

    def __init__(self, made: Settings, tenants: Sequence[tuple[str, float]]) -> None:
        super().__init__(name="stage")
        self._settings = made
        self._tenants = tenants
        self._over = threading.Event()
        self.ready = threading.Event()
        self.url = ""

    def run(self) -> None:
        asyncio.run(self._play())

    def end(self) -> None:
        """Take the curtain down. Blocks until it is."""
        self._over.set()
        self.join()

    async def _play(self) -> None:
        server = Server(self._settings)
        await server.start()
        assert server.http is not None
        self.url = server.http.addresses[0]
        self.ready.set()
        workers = [asyncio.create_task(self._crowd(server.targets[0], n)) for n in range(3)]
        await asyncio.to_thread(self._over.wait)
        for worker in workers:
            worker.cancel()
        for outcome in await asyncio.gather(*workers, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                print(f"the load failed: {outcome!r}")
        await server.stop(0.0)

    async def _crowd(self, target: str, number: int) -> None:
        async with AsyncLeaseClient(target, worker=f"orders-{number + 1}") as leases:
            await asyncio.gather(*[self._borrow(leases) for _ in range(22)])

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


@contextmanager
def stage(tenants: Sequence[tuple[str, float]]) -> Iterator[str]:
    """A service under load; its address."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(settings={"max_connections": "60"}) as server,
    ):
        made = Stage(settings(tenants, server.dsn(), Path(folder)), tenants)
        made.start()
        try:
            made.ready.wait()
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
    """The pictures of the README."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with stage(few()) as url, Browser() as browser:
        log_in(browser, url)
        sleep(3 * WARM_UP)
        for name, path, width, dark in (
            ("overview-light", "/", 1280, False),
            ("overview-dark", "/", 1280, True),
            ("overview-phone", "/", 390, True),
            ("tenant", f"/tenants/{NAMES[0]}", 1280, False),
            ("database", "/databases/main", 1280, False),
        ):
            browser.resize(width, 860, dark=dark)
            browser.open(url + path)
            sleep(2)
            browser.screenshot(IMAGES / f"{name}.png")
    with stage(many()) as url, Browser() as browser:
        log_in(browser, url)
        sleep(WARM_UP)
        browser.resize(1280, 860)
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
