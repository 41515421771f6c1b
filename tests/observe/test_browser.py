"""The dashboard in a real browser, over a service with a real load."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest

from tenantpool.client import LeaseClient
from tenantpool.embedded import EmbeddedPostgres
from tests.cli.serving import Serving
from tests.support.browser import MISSING, Browser, find_browser
from tests.support.servers import on_latest
from tests.support.wait import wait_until

from .support import OPERATOR, log_in_by_hand, open_live

pytestmark = [pytest.mark.skipif(find_browser() is None, reason=MISSING), on_latest]

BACKENDS = "select count(*) from pg_stat_activity where application_name = 'tenantpool/tenantpool'"


class House:
    """A service in a process of its own, a browser, and workers who borrow."""

    def __init__(self, service: Serving, browser: Browser, postgres: EmbeddedPostgres) -> None:
        self.service = service
        self.browser = browser
        self.postgres = postgres
        said = "\n".join(service.said)
        self.url = re.findall(r"^dashboard: (http://\S+)$", said, re.MULTILINE)[0]

    def open(self, path: str) -> None:
        open_live(self.browser, self.url + path)

    def log_in(self) -> None:
        log_in_by_hand(self.browser, self.url)

    def backends(self) -> int:
        return int(self.postgres.execute(BACKENDS)[0][0])

    def shows(self, selector: str, text: str) -> None:
        """Wait until the first that fits says so; the page keeps itself up to date."""
        wait_until(
            lambda: self.browser.text(selector) == text,
            what=f"{selector} says {self.browser.text(selector)!r} and not {text!r}",
        )


@pytest.fixture(scope="module")
def shared_house(postgres: EmbeddedPostgres, shared_browser: Browser) -> Iterator[House]:
    settings = {
        "databases": {"main": {"conninfo": postgres.dsn(), "capacity": 8}},
        "tiers": {"basic": {"min_size": 0, "cap": 3, "max_idle": 1}},
        "tenants": {
            name: {"dbname": "postgres", "settings": {"app.tenant": name}}
            for name in ("acme", "globex")
        },
        "template": {"enabled": False},
        "service": {
            "grpc_port": 0,
            "gateway_port": 0,
            "http_port": 0,
            "session_ttl": 60,
            "identities": {
                "operator": {"token": OPERATOR, "administer": True},
                "worker": {"uids": [os.geteuid()], "tenants": ["*"]},
            },
        },
    }
    with Serving(settings) as service:
        yield House(service, shared_browser, postgres)


@pytest.fixture
def house(shared_house: House, browser: Browser) -> House:
    """As it was at first: nobody is logged in, and no connection is open."""
    wait_until(lambda: shared_house.backends() == 0)
    return shared_house


@contextmanager
def held(house: House, **tenants: int) -> Iterator[list[psycopg.Connection[Any]]]:
    """So many leases of each."""
    with LeaseClient(house.service.target) as leases, ExitStack() as stack:
        found = []
        for tenant, count in tenants.items():
            for _ in range(count):
                found.append(leases.acquire(tenant))
                stack.callback(leases.release, found[-1])
        yield found


def test_the_figures_are_those_of_the_service_and_of_postgresql(house: House) -> None:
    with held(house, acme=3, globex=2):
        house.open("/")
        house.shows(".card .figure b", "5")
        assert house.backends() == 5
        house.shows("tbody tr:first-child > :first-child", "acme")
        assert "5 of 7 connections lent" in house.browser.text(".summary")
        assert house.browser.text(".legend li:first-child b") == "5"
        house.open("/databases/main")
        house.shows("#database-used", "5")
        house.shows("#states tr.sum td:nth-child(2)", str(house.backends()))
        house.open("/tenants/globex")
        house.shows("#tenant-in-use", "2")
        house.open("/leases")
        house.shows("#lease-count", "5 leases in use")
    house.shows("#lease-count", "0 leases in use")  # without a reload
    assert house.browser.console == []


def test_a_revoke_by_click_ends_the_backend(house: House) -> None:
    house.log_in()
    with LeaseClient(house.service.target, delivery="gateway") as leases:
        conn = leases.acquire("acme")
        assert conn.execute("select 1").fetchone() == (1,)
        assert house.backends() == 1
        house.open("/leases")
        house.browser.click("td.do summary")
        house.browser.wait_for("document.querySelector('td.do details').open")
        house.browser.click("td.do button.danger")
        house.browser.wait_for("document.querySelector('.said')")
        assert "was revoked." in house.browser.text(".said")
        wait_until(lambda: house.backends() == 0)
        house.shows("#lease-count", "0 leases in use")
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
        leases.release(conn)


def test_a_question_stays_open_while_the_page_changes(house: House) -> None:
    house.log_in()
    with held(house, acme=1):
        house.open("/leases")
        house.browser.click("td.do summary")
        opened = "document.querySelectorAll('td.do details[open]').length"
        house.browser.wait_for(opened)
        before = house.browser.text("tbody td:nth-child(4)")
        wait_until(lambda: house.browser.text("tbody td:nth-child(4)") != before)
        assert house.browser.value(opened) == 1
        with held(house, globex=2):
            house.shows("#lease-count", "3 leases in use")
            assert house.browser.value(opened) == 1


def test_it_can_be_used_with_the_keyboard(house: House) -> None:
    house.open("/tenants")
    focused = "document.activeElement"
    house.browser.press("Tab", 9)
    assert house.browser.value(f"{focused}.innerText") == "Skip to content"
    house.browser.press("Enter", 13, "\r")
    house.browser.press("Tab", 9)
    assert house.browser.value(f"{focused}.name") == "q"
    house.browser.type("glob")
    house.browser.press("Enter", 13, "\r")
    house.browser.wait_for("location.search.includes('q=glob')")
    assert house.browser.value("document.querySelectorAll('tbody tr').length") == 1


def test_live_updates_can_be_paused(house: House) -> None:
    house.open("/leases")
    house.browser.click("#live")
    house.shows("#live", "paused")
    with held(house, acme=1):
        house.browser.value("new Promise((done) => setTimeout(done, 1500))")
        assert house.browser.text("#lease-count") == "0 leases in use"
        house.browser.click("#live")
        house.shows("#lease-count", "1 lease in use")


def test_every_page_works_without_scripts(house: House) -> None:
    house.browser.call("Emulation.setScriptExecutionDisabled", value=True)
    with held(house, acme=2):
        for path, words in {
            "/": "2 of 7 connections lent",
            "/tenants?q=acm": "1 tenant",
            "/tenants/acme": "2 leases",
            "/databases/main": "Connections by state",
            "/leases": "2 leases in use",
            "/configuration": "max_waiting",
        }.items():
            house.browser.open(house.url + path)
            assert words in house.browser.text("body")


@pytest.mark.parametrize(("width", "dark"), [(1360, False), (820, True), (360, False), (360, True)])
def test_no_page_is_wider_than_the_window(house: House, width: int, dark: bool) -> None:
    house.browser.resize(width, 800, dark=dark)
    with held(house, acme=1):
        for path in ("/", "/tenants", "/tenants/acme", "/databases/main", "/leases"):
            house.open(path)
            wide = house.browser.value("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} px wide"
    paper = house.browser.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 3 * 128) == dark
    assert house.browser.console == []
