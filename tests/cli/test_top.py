"""``tenantpool top`` in a terminal, and into a pipe."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import LiteralString

import yaml

from tenantpool.client import LeaseClient
from tenantpool.insight import Insight
from tests.cli.conftest import Serve
from tests.cli.serving import COMMAND, LONGEST, ROOT, Serving
from tests.cli.terminal import Terminal
from tests.support.servers import on_latest

UP, DOWN, PAGE_DOWN, ESCAPE = "\x1b[A", "\x1b[B", "\x1b[6~", "\x1b"


def top(service: Serving, *words: str, columns: int = 120, **environ: str) -> Terminal:
    return Terminal([*COMMAND, "top", *words], service.environ | environ, columns)


@on_latest
def test_it_shows_who_holds_what_sorted_and_filtered(serve: Serve) -> None:
    service = serve()
    with LeaseClient(service.target) as leases, top(service, "--interval", "0.1") as screen:
        screen.wait_for("healthy: All is well.", "no tenant holds a connection")
        held = [leases.acquire("acme") for _ in range(2)] + [leases.acquire("initech")]
        screen.wait_for(
            "3 leases held by workers", "acme", "2/8", "initech", "1/1", "of 11, 0 waiting"
        )
        assert order(screen) == ["acme", "initech"]
        screen.send("n")
        screen.wait_for("Tenant▼")
        screen.send(DOWN)
        screen.wait_for("> initech")
        screen.send("/init\r")
        screen.wait_for("filter: init", "initech", gone=["acme"])
        screen.send(ESCAPE)
        screen.wait_for("acme", gone=["filter:"])
        screen.send("w")
        screen.wait_for("Waits now▼")
        for conn in held:
            leases.release(conn)
        screen.send("q")
        assert screen.wait() == 0
        assert screen.modes == screen.before
    assert service.stop() == 0


def order(screen: Terminal) -> list[str]:
    """The tenants in the list."""
    words = [line.lstrip("> ").split() for line in screen.lines]
    return [line[0] for line in words if line and line[0] in ("acme", "initech")]


@on_latest
def test_enter_opens_a_tenant_with_its_leases_and_waiters(serve: Serve) -> None:
    service = serve()
    with (
        LeaseClient(service.target, worker="the worker", linger=0) as leases,
        top(service, "--interval", "0.1") as screen,
    ):
        held = leases.acquire("initech")
        screen.wait_for("> initech")
        with service.begin_exec("initech", "--", "true") as waiting:
            screen.wait_for("1/1")
            screen.send("\r")
            screen.wait_for("tier single", "1 of cap 1", "guarantee 0", "Breaker  closed")
            screen.wait_for("Leases held by workers (1)", "the worker", f"{held.info.backend_pid}")
            screen.wait_for("Waiters (1)", "exec true")
            screen.send("?")
            screen.wait_for("Any key goes back")
            screen.send("x")
            screen.wait_for("Waiters (1)")
            leases.release(held)
            screen.wait_for("Waiters (0)", "Leases held by workers (0)")
            assert waiting.wait(LONGEST) == 0
        screen.send("q")
        screen.wait_for("healthy:", gone=["Waiters"])
        screen.send("q")
        assert screen.wait() == 0
    assert service.stop() == 0


@on_latest
def test_d_opens_a_database_with_what_its_server_says(serve: Serve) -> None:
    service = serve()
    with (
        LeaseClient(service.target, linger=0) as leases,
        top(service, "--interval", "0.1") as screen,
    ):
        held = leases.acquire("acme")
        held.execute("select\n  'told'")
        screen.wait_for("> acme")
        screen.send("d")
        screen.wait_for("Connections by state", "idle in transaction", "1 in use", "1 lease so far")
        screen.wait_for("Lent connections by tenant", "1 idle in transaction")
        screen.wait_for("Longest under way", f"{held.info.backend_pid}", "select 'told'")
        held.rollback()
        leases.release(held)
        screen.wait_for("no connection is lent", "nothing is under way", gone=["select 'told'"])
        screen.send("q")
        screen.wait_for("d database", gone=["Connections by state"])
        screen.send("q")
        assert screen.wait() == 0
    assert service.stop() == 0


@on_latest
def test_a_database_that_cannot_be_asked_says_why_and_d_goes_to_the_next(serve: Serve) -> None:
    service = serve()
    assert service.stop() == 0
    away = {"conninfo": "host=/nowhere", "capacity": 3}
    more = {
        "databases": {"away": away, **service.settings["databases"]},
        "tenants": {"acme": {"database": "main"}},
    }
    service.config.write_text(yaml.safe_dump({**service.settings, **more}))
    service.start()
    with top(service, "--interval", "0.1") as screen:
        screen.wait_for("away", "main")
        screen.send("d")
        screen.wait_for("What PostgreSQL says is not known: it", gone=["main"])
        screen.send("d")
        screen.wait_for("main", "Connections by state", gone=["away"])
        screen.send("d")
        screen.wait_for("What PostgreSQL says is not known: it")
        screen.send("\x03")
        assert screen.wait() == 0
    assert service.stop() == 0


@on_latest
def test_f_opens_the_findings_sorted_and_filtered(serve: Serve) -> None:
    service = serve()
    with (
        LeaseClient(service.target, insight=Insight()) as leases,
        top(service, "--interval", "0.1") as screen,
    ):
        screen.wait_for("All is well.")
        screen.send("f")
        screen.wait_for("Findings, the latest first: 0 findings", "nothing was found; workers look")
        repeat(leases, "acme", "select 'secret', %s::int")
        screen.wait_for("1 finding", "N+1  acme: 101 times in one lease", "once, last 20")
        screen.wait_for("statement select ?::int", "at ", "in repeat", "fix ", gone=["secret"])
        repeat(leases, "initech", "select %s::int + 1")
        screen.wait_for("2 findings", "initech: 101 times")
        assert order_of_findings(screen) == ["initech", "acme"]
        screen.send("n")
        screen.wait_for("Findings, by tenant: 2 findings")
        assert order_of_findings(screen) == ["acme", "initech"]
        screen.send("/init")
        screen.wait_for("of or at 'init': 1 finding", "filter: init", gone=["acme"])
        screen.send("\r")
        screen.wait_for("t times", "q back", gone=["filter:"])
        screen.send("q")
        screen.wait_for("filter: init", gone=["N+1"])
        screen.send("q")
        assert screen.wait() == 0
    assert service.stop() == 0


def repeat(leases: LeaseClient, tenant: str, query: LiteralString) -> None:
    """Run *query* as often as is too often."""
    with leases.connection(tenant) as conn:
        for number in range(101):
            conn.execute(query, [number])


def order_of_findings(screen: Terminal) -> list[str]:
    """Whose they are."""
    heads = [line for line in screen.lines if line.startswith("N+1  ")]
    return [line.removeprefix("N+1  ").split(":")[0] for line in heads]


@on_latest
def test_a_service_that_hangs_holds_no_key_up(serve: Serve) -> None:
    service = serve()
    with top(service, "--interval", "0.1") as screen:
        screen.wait_for("All is well.")
        service.signal(signal.SIGSTOP)
        screen.send("d")
        screen.wait_for("asking its server ...")
        screen.send("?")
        screen.wait_for("Any key goes back")
        screen.send("xq")
        screen.wait_for("All is well.")
        screen.send("fqq")
        assert screen.wait() == 0
        service.signal(signal.SIGCONT)
    assert service.stop() == 0


@on_latest
def test_it_follows_the_windows_size(serve: Serve) -> None:
    service = serve()
    with (
        LeaseClient(service.target) as leases,
        leases.connection("acme"),
        top(service, "--interval", "30") as screen,
    ):
        screen.wait_for("acme", "p99 wait")
        screen.resize(50, 12)
        screen.wait_for("acme", "Waiting", gone=["p99 wait"])
        screen.resize(180, 40)
        screen.wait_for("p99 wait", "Database", "Pool")
        screen.signal(signal.SIGTERM)
        assert screen.wait() == 0
        assert screen.modes == screen.before
    assert service.stop() == 0


@on_latest
def test_it_is_readable_without_colours(serve: Serve) -> None:
    service = serve()
    with top(service, NO_COLOR="1") as screen:
        screen.wait_for("healthy: All is well.")
        assert not any(f"\x1b[{code}".encode() in screen.seen for code in (31, 32, 33))
        screen.send("\x03")
        assert screen.wait() == 0
    assert service.stop() == 0


@on_latest
def test_it_goes_on_when_the_service_is_back(serve: Serve) -> None:
    service = serve()
    with top(service, "--interval", "0.1") as screen:
        screen.wait_for("All is well.")
        assert service.stop() == 0
        screen.wait_for("no news, trying again")
        service.start()
        screen.wait_for("All is well.", gone=["no news"])
        screen.send("q")
        assert screen.wait() == 0
    assert service.stop() == 0


@on_latest
def test_into_a_pipe_it_is_one_table(serve: Serve) -> None:
    service = serve()
    with LeaseClient(service.target) as leases, leases.connection("acme"):
        shown = service.run("top")
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.startswith("healthy: All is well.\n")
        assert "acme" in shown.stdout
        assert "\x1b" not in shown.stdout
        none = service.run("top", "--filter", "nobody", "--once")
        assert "acme" not in none.stdout
        piped = subprocess.run(
            f"{sys.executable} -m tenantpool top | head -1",
            shell=True,
            cwd=ROOT,
            env=service.environ,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        assert (piped.stdout, piped.stderr) == ("healthy: All is well.\n", "")
    assert service.stop() == 0


def test_a_service_that_is_not_there_ends_it(tmp_path: Path) -> None:
    service = Serving({})
    try:
        with top(service, "--target", f"unix:{tmp_path}") as screen:
            assert screen.wait() == 1
            assert "error: " in screen.text
    finally:
        service.clean_up()
