"""Compose: the file is right, what it mounts is there, and its workers really lease."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from compose_spec import PyCompose

from tenantpool import __version__
from tenantpool.client import LeaseClient
from tests.cli.serving import COMMAND, Serving
from tests.deploy.conftest import TOKEN
from tests.deploy.files import COMPOSE, documents, read, settings
from tests.support.wait import wait_until

FILE = documents(COMPOSE / "compose.yaml")[0]
SERVICES = FILE["services"]
CONFIG = settings(documents(COMPOSE / "config" / "tenantpool.yaml")[0])


class Worker:
    """deploy/compose/worker.py as a process; killed with the block, if it has not ended."""

    def __init__(self, service: Serving, *tenants: str, **environ: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(COMPOSE / "worker.py"), *tenants],
            env=service.environ | {"PYTHONPATH": str(COMPOSE.parents[1])} | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> str:
        """As Compose does; return what it has said."""
        self._process.terminate()
        said, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, said
        return said


def count(service: Serving, tenant: str) -> int:
    """How many orders *tenant* has."""
    with LeaseClient(service.target) as leases, leases.connection(tenant) as conn:
        row = conn.execute("select count(*) from orders").fetchone()
    assert row is not None
    return int(row[0])


def make_secrets(folder: Path) -> dict[str, str]:
    """Run the script in *folder*; return what it has made, by the names in compose.yaml."""
    script = shutil.copy(COMPOSE / "make-secrets.sh", folder)
    subprocess.run(["sh", script], check=True, capture_output=True, timeout=60)
    return {f"./secrets/{path.name}": path.read_text() for path in (folder / "secrets").iterdir()}


def test_the_file_is_as_compose_wants_it() -> None:
    names = PyCompose.from_json(json.dumps(FILE)).service_names()
    expected = {"postgres", "tenantpool", "worker-local", "worker-remote", "prometheus", "grafana"}
    assert set(names) == expected


def test_what_it_mounts_and_builds_is_there() -> None:
    for service in SERVICES.values():
        for source in (volume.split(":")[0] for volume in service.get("volumes", ())):
            assert source in FILE["volumes"] or (COMPOSE / source).exists(), source
        if build := service.get("build"):
            assert (COMPOSE / build["context"] / build["dockerfile"]).exists()
            assert service["image"] == f"tenantpool:{__version__}"


def test_its_secrets_are_made_once_and_are_those_of_the_file(tmp_path: Path) -> None:
    made = make_secrets(tmp_path)
    assert made.keys() == {secret["file"] for secret in FILE["secrets"].values()}
    assert all(re.fullmatch("[0-9a-f]{48}", text) for text in made.values())
    assert make_secrets(tmp_path) == made


def test_compose_waits_for_leases_longer_than_the_service_does() -> None:
    grace = int(SERVICES["tenantpool"]["stop_grace_period"].removesuffix("s"))
    assert grace >= CONFIG.service.drain_grace + 5


def test_only_this_host_reaches_what_is_published() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_workers_lease_as_they_are_in_the_file(served: Serving, tmp_path: Path) -> None:
    local, remote = SERVICES["worker-local"], SERVICES["worker-remote"]
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    (address,) = re.findall(r"leases: .* (\S+)", "\n".join(served.said))
    abroad = {"TENANTPOOL_TARGET": address, "TENANTPOOL_TOKEN_FILE": str(token)}
    tenants = {*local["command"], *remote["command"]}
    assert tenants == set(CONFIG.tenants)
    assert abroad.keys() == remote["environment"].keys()
    with (
        Worker(served, *local["command"], TENANTPOOL_TARGET=served.target) as near,
        Worker(served, *remote["command"], **abroad) as far,
    ):
        wait_until(lambda: all(count(served, tenant) for tenant in tenants), 60)
        said = [near.end(), far.end()]
    written = [int(text.removeprefix("orders written: ")) for text in said]
    assert sum(written) == sum(count(served, tenant) for tenant in tenants)
    assert "Traceback" not in served.log


def test_check_config_accepts_the_configuration(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    config = tmp_path / "tenantpool.yaml"
    config.write_text(read(COMPOSE / "config" / "tenantpool.yaml"))
    done = subprocess.run(
        [*COMMAND, "check-config", str(config), "--secrets-dir", str(tmp_path / "secrets")],
        cwd=COMPOSE.parents[1],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
