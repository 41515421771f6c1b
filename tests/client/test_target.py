"""Where the service is, and what is imported to get there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tenantpool.client import LeaseClient
from tenantpool.client.target import Target, worker_name


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("unix:{}", "{}/session.sock"),
        ("unix:{}/", "{}/session.sock"),
        ("unix://{}", "{}/session.sock"),
        ("unix:{}/session.sock", "{}/session.sock"),
        ("unix:{}/grpc.sock", "{}/session.sock"),  # neither is there: so it may be later
        ("localhost:50051", ""),
        ("dns:///service:50051", ""),
    ],
)
def test_the_channel_is_found(name: str, channel: str, tmp_path: Path):
    assert Target(name.format(tmp_path)).channel() == channel.format(tmp_path)


def test_grpc_is_the_way_where_there_is_nothing_else(tmp_path: Path):
    (tmp_path / "grpc.sock").touch()
    target = Target(f"unix:{tmp_path}/grpc.sock")
    assert target.channel() == ""
    (tmp_path / "session.sock").touch()
    assert target.channel() == f"{tmp_path}/session.sock"


def test_what_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TENANTPOOL_TARGET", "unix:/env")
    monkeypatch.setenv("TENANTPOOL_TOKEN", "env")
    assert Target.find("unix:/given", "given", None) == Target("unix:/given", "given")
    assert Target.find(None, None, None) == Target("unix:/env", "env")
    assert Target.find(None, "", None).token == ""


def test_a_worker_has_a_name():
    assert 0 < len(worker_name()) <= 64


def test_a_connects_options_are_the_services_business():
    with pytest.raises(TypeError, match="host"):
        LeaseClient("unix:/tmp", kwargs={"host": "x"})


def test_a_delivery_must_be_one_of_them():
    with pytest.raises(ValueError, match="hand-off"):
        LeaseClient("unix:/tmp", delivery="pigeon")


def test_importing_it_does_not_import_grpc():
    script = (
        "import sys, tenantpool.client; print([m for m in sys.modules if m.startswith('grpc')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
