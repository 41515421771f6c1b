"""A service that is changed while it runs, as an operator does it: files, SIGHUP and commands."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tenantpool.client import LeaseClient
from tenantpool.errors import NotAuthenticated
from tests.cli.conftest import Serve
from tests.cli.serving import Serving
from tests.support.servers import on_latest
from tests.support.wait import wait_until


def settings_of(service: Serving, /, **sections: dict[str, Any]) -> str:
    """The service's settings as YAML, with what *sections* say beside them."""
    made = {**service.settings}
    for name, section in sections.items():
        made[name] = {**made.get(name, {}), **section}
    return yaml.safe_dump(made)


def entries(service: Serving, event: str) -> list[dict[str, Any]]:
    """What is in its log, which must be JSON."""
    found = [json.loads(line) for line in service.log.splitlines()]
    return [entry for entry in found if entry["event"] == event]


BIGGER = {"basic": {"min_size": 0, "cap": 9}}
CHANGE = "tier basic: cap 8 → 9 (1 tenant)"


@on_latest
def test_a_file_that_is_saved_is_in_force(serve: Serve) -> None:
    service = serve("--log-format", "json")
    service.config.write_text(settings_of(service, tiers=BIGGER))
    wait_until(lambda: entries(service, "configuration changed"))
    (entry,) = entries(service, "configuration changed")
    assert (entry["what"], entry["source"], entry["who"]) == (CHANGE, "file", "")
    assert entry["before"] != entry["after"]
    assert service.stop() == 0


@on_latest
def test_a_config_map_that_is_swapped_is_in_force(serve: Serve, tmp_path: Path) -> None:
    service = serve("--log-format", "json", from_volume=True)
    service.publish(settings_of(service, tiers=BIGGER))
    wait_until(lambda: entries(service, "configuration changed"))
    assert service.stop() == 0


@on_latest
def test_sighup_reads_the_file_again(serve: Serve) -> None:
    service = serve("--log-format", "json")
    service.signal(signal.SIGHUP)
    wait_until(lambda: entries(service, "configuration unchanged"))
    (entry,) = entries(service, "configuration unchanged")
    assert entry["source"] == "SIGHUP"
    assert service.stop() == 0


@on_latest
def test_a_wrong_file_keeps_the_service_as_it_is(serve: Serve) -> None:
    service = serve("--log-format", "json")
    service.config.write_text(settings_of(service, tiers={"basic": {"cap": 0}}))
    refused = "configuration refused, the one before stays in force"
    wait_until(lambda: entries(service, refused))
    (entry,) = entries(service, refused)
    assert entry["place"].startswith(str(service.config))
    assert "tiers.basic.cap" in entry["place"]
    assert service.exec("acme", "--", "true").returncode == 0
    assert service.stop() == 0


@on_latest
def test_plan_then_reload(serve: Serve) -> None:
    service = serve()
    same = service.run("plan")
    assert (same.returncode, same.stdout) == (0, "nothing changes\n")
    new = service.home / "new.yaml"
    new.write_text(settings_of(service, tiers=BIGGER))
    plan = service.run("plan", str(new))
    assert plan.returncode == 4, plan.stderr
    first, *_, last = plan.stdout.splitlines()
    assert first == CHANGE
    digest = last.removeprefix("in force is ")
    conflict = service.run("reload", "--expect", "0" * 32)
    assert conflict.returncode == 1
    assert "somebody has changed it" in conflict.stderr
    os.replace(new, service.config)
    reload = service.run("reload", "--expect", digest)
    assert reload.returncode in (0, 1)  # the service may have seen the file by itself
    wait_until(lambda: service.run("plan").returncode == 0)
    assert service.stop() == 0


@on_latest
def test_a_plan_of_a_wrong_file_names_its_lines_and_is_2(serve: Serve) -> None:
    service = serve()
    wrong = service.home / "wrong.yaml"
    wrong.write_text("databases: {main: {conninfo: host=x}}\ndefault_tier: prp\n")
    plan = service.run("plan", str(wrong))
    assert plan.returncode == 2
    assert plan.stderr == (
        f"error: {wrong}:2: default_tier: there is no tier prp; did you mean pro?\n"
    )
    assert service.stop() == 0


@on_latest
def test_what_needs_a_restart_is_5_and_is_not_applied(serve: Serve) -> None:
    service = serve()
    new = service.home / "new.yaml"
    new.write_text(settings_of(service, tiers=BIGGER, service={"grpc_port": 1}))
    plan = service.run("plan", str(new))
    assert plan.returncode == 5
    assert "service.grpc_port: was 0 and is 1: needs a restart" in plan.stdout
    service.config.write_text(new.read_text())
    reload = service.run("reload")
    assert reload.returncode == 2
    assert "needs a restart" in reload.stderr
    assert service.stop() == 0


@on_latest
def test_an_override_is_listed_survives_a_restart_and_is_dropped(serve: Serve) -> None:
    service = serve()
    made = service.run("tier", "acme", "single", "--until", "+2h", "--reason", "too much")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("acme: basic → single (cap 8 → 1)\noverride ")
    assert service.stop() == 0
    service.start()
    listed = json.loads(service.run("overrides", "--json").stdout)
    (known,) = listed
    assert (known["tenant"], known["was"], known["is"]) == ("acme", "basic", "single")
    assert (known["author"], known["reason"]) == ("local", "too much")
    table = service.run("overrides").stdout
    assert "(in 1 h 59 min)" in table
    dropped = service.run("overrides", "drop", known["id"])
    assert dropped.stdout == "acme: single → basic (cap 1 → 8)\n"
    assert service.run("overrides").stdout == "no overrides\n"
    assert service.stop() == 0


@on_latest
def test_a_suspended_tenant_is_refused_with_who_and_why(serve: Serve) -> None:
    service = serve()
    assert service.run("suspend", "acme", "--reason", "runs wild").returncode == 0
    refused = service.exec("acme", "--", "true")
    assert refused.returncode == 125
    assert "runs wild" in refused.stderr
    assert service.run("unsuspend", "acme").returncode == 0
    assert service.exec("acme", "--", "true").returncode == 0
    assert service.stop() == 0


@on_latest
def test_what_scaling_has_done_is_shown_undone_and_resumed(serve: Serve) -> None:
    service = serve()
    scale = {"floor": 4, "ceiling": 8, "interval": 0.02, "cooldown": 0}
    tiers = {"basic": {"min_size": 0, "cap": 8, "autoscale": scale}}
    service.settings["sweep_interval"] = 0.02
    service.config.write_text(settings_of(service, tiers=tiers))
    with LeaseClient(service.target) as leases:
        wait_until(lambda: use(leases, "acme") and service.cap("acme") == 4)
    shown = service.run("scaling", "--tenant", "acme").stdout.splitlines()
    assert shown[1].split() == ["When", "Tenant", "Tier", "Was", "Is", "In", "use"]
    assert shown[3].split()[2:4] == ["acme", "basic"]
    assert shown[3].split()[5] == "4"
    undone = service.run("scaling", "undo", "acme")
    assert undone.stdout == "acme: cap 8, as its tier has it; auto-scaling leaves it alone\n"
    told = json.loads(service.run("scaling", "--json").stdout)
    assert told["left_alone"] == ["acme"]
    assert (told["changes"][-1]["cap_before"], told["changes"][0]["cap_after"]) == (8, 4)
    assert service.cap("acme") == 8
    other = service.run("scaling", "--tenant", "initech")
    assert other.stdout == "auto-scaling has changed nothing\n"
    assert service.run("scaling", "resume", "acme").returncode == 0
    refused = service.run("scaling", "undo", "nobody")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert service.stop() == 0


def use(leases: LeaseClient, tenant: str) -> bool:
    """Borrow and give back."""
    with leases.connection(tenant):
        return True


MISTAKES = [
    (["tier", "acme", "singel"], 2, "tier: there is no tier singel; did you mean single?"),
    (["tier", "acmme", "single"], 2, "tenant: acmme is no tenant"),
    (["overrides", "drop", "nothing"], 1, "there is no override nothing"),
    (["suspend", "acme", "--until", "tomorrow"], 2, "is neither a time such as +2h"),
]


@on_latest
def test_a_mistake_is_explained(serve: Serve) -> None:
    service = serve()
    for words, code, says in MISTAKES:
        refused = service.run(*words)
        assert refused.returncode == code
        assert says in " ".join(refused.stderr.replace("│", " ").split())
    assert service.stop() == 0


@on_latest
def test_a_token_that_is_taken_out_ends_its_sessions(serve: Serve) -> None:
    worker = {"tokens": ["a-token-of-the-worker", "another-of-the-worker"], "tenants": ["*"]}
    token = "a-token-of-the-operator"
    ops = {"token": token, "administer": True}
    service = serve(identities={"worker": worker, "ops": ops}, drain_grace=0.2)
    with (
        LeaseClient(service.target, token=worker["tokens"][0]) as old,
        LeaseClient(service.target, token=worker["tokens"][1]) as new,
        new.connection("acme") as kept,
    ):
        held = old.acquire("acme")
        identities = {"worker": {**worker, "tokens": worker["tokens"][1:]}, "ops": ops}
        service.config.write_text(settings_of(service, service={"identities": identities}))
        wait_until(lambda: "sessions of worker end" in service.log)
        wait_until(lambda: not works(held), what="the cut")
        with pytest.raises(NotAuthenticated):
            old.acquire("acme")
        old.release(held)
        assert works(kept)
    by_ops = service.run("overrides", TENANTPOOL_TOKEN=token)
    assert (by_ops.stdout, by_ops.stderr) == ("no overrides\n", "")
    assert service.run("overrides").returncode == 1
    assert service.stop() == 0


def works(conn: psycopg.Connection[Any]) -> bool:
    try:
        conn.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def test_a_service_that_is_not_there_is_explained(tmp_path: Path) -> None:
    service = Serving({})
    try:
        plan = service.run("plan", "--target", f"unix:{tmp_path}")
        assert plan.returncode == 1
        assert str(tmp_path) in plan.stderr
        assert len(plan.stderr.splitlines()) == 1
    finally:
        service.clean_up()
