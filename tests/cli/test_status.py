"""``tenantpool status``: words for people, JSON and exit codes for scripts."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from tenantpool import __version__
from tenantpool.client import LeaseClient
from tests.cli.conftest import Serve
from tests.cli.serving import COMMAND, Serving
from tests.cli.terminal import Terminal
from tests.support.servers import on_latest
from tests.support.wait import wait_until


@on_latest
def test_a_healthy_service_is_0_and_says_what_is_in_use(serve: Serve) -> None:
    service = serve()
    with LeaseClient(service.target) as leases, leases.connection("acme"):
        shown = service.run("status")
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.startswith("healthy: All is well.\n")
        assert f"tenantpool {__version__} at {service.target}: " in shown.stdout
        told = json.loads(service.run("status", "--json").stdout)
    assert (told["status"], told["version"], told["leases"]) == ("healthy", __version__, 1)
    assert told["alerts"] == []
    (database,) = told["databases"]
    # One connection of the capacity is the service's own.
    assert (database["name"], database["capacity"], database["waiting"]) == ("main", 11, 0)
    assert database["slots"]["in use"] == 1
    (tenant,) = told["tenants"]
    assert (tenant["name"], tenant["tier"], tenant["in_use"]) == ("acme", "basic", 1)
    assert tenant["wait_mean"] < 60
    assert service.stop() == 0


@on_latest
def test_a_database_that_is_full_while_somebody_waits_is_4(serve: Serve) -> None:
    service = serve()
    restart(service, capacity=9)
    with LeaseClient(service.target, linger=0) as leases:
        held = [leases.acquire("acme") for _ in range(8)]
        with service.begin_exec("initech", "--", "true") as waiting:
            wait_until(lambda: service.waiting("initech") == 1)
            shown = service.run("status", "--tenants", "1")
            for conn in held:
                leases.release(conn)
            assert waiting.wait() == 0
    assert shown.returncode == 4, shown
    assert shown.stdout.startswith("warning: main: all 8 slots are used and 1 requests wait")
    assert "and 1 more" in shown.stdout
    assert service.stop() == 0


@on_latest
def test_a_database_that_cannot_be_reached_is_5(serve: Serve) -> None:
    service = serve()
    restart(service, conninfo="host=/nowhere")
    wait_until(lambda: service.run("status").returncode == 5)
    told = json.loads(service.run("status", "--json").stdout)
    assert told["databases"][0]["breaker"] != "closed"
    assert told["databases"][0]["status"] == "critical"
    assert service.stop() == 0


@on_latest
def test_alerts_are_told_by_status_top_and_doctor(serve: Serve) -> None:
    service = serve()
    settings = copy.deepcopy(service.settings)
    settings["alerts"] = {"interval": 0.05, "reload_failed": {"after": 0, "severity": "critical"}}
    service.config.write_text(yaml.safe_dump(settings))
    wait_until(lambda: "configuration changed" in service.log)
    settings["default_tier"] = "nothing"
    service.config.write_text(yaml.safe_dump(settings))
    wait_until(lambda: "alert firing" in service.log)
    told = json.loads(service.run("status", "--json").stdout)
    [alert] = told["alerts"]
    assert (alert["name"], alert["state"], alert["severity"]) == (
        *("ReloadFailed", "firing", "critical"),
    )
    assert alert["fired_at"] >= alert["found_at"]
    shown = service.run("status")
    line = "critical alert ReloadFailed firing since "
    summary = f": {alert['summary']}"
    assert shown.returncode == 0
    assert line in shown.stdout
    assert summary in shown.stdout
    with Terminal([*COMMAND, "top"], service.environ, columns=160) as screen:
        screen.wait_for(line, "the new configuration was refused")
        screen.send("q")
        assert screen.wait() == 0
    found = service.run("doctor", "--json")
    checks = {check["subject"]: check for check in json.loads(found.stdout)["checks"]}
    check = checks["service: alerts"]
    assert (check["finding"], check["remedy"]) == ("problem", alert["description"])
    assert line in check["seen"]
    assert service.stop() == 0


def restart(service: Serving, **database: Any) -> None:
    """With a database that says this, too."""
    settings = copy.deepcopy(service.settings)
    settings["databases"]["main"].update(database)
    assert service.stop() == 0
    service.config.write_text(yaml.safe_dump(settings))
    service.start()


def test_a_service_that_is_not_there_is_1(tmp_path: Path) -> None:
    service = Serving({})
    try:
        shown = service.run("status", "--json", "--target", f"unix:{tmp_path}")
        assert (shown.returncode, shown.stdout) == (1, "")
        assert len(shown.stderr.splitlines()) == 1
    finally:
        service.clean_up()


def test_a_certificate_that_is_not_there_is_1(tmp_path: Path) -> None:
    service = Serving({})
    try:
        missing = tmp_path / "ca.pem"
        shown = service.run("status", "--target", "localhost:1", "--tls-ca", str(missing))
        assert (shown.returncode, shown.stderr) == (
            1,
            f"error: {missing}: No such file or directory\n",
        )
    finally:
        service.clean_up()
