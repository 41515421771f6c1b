"""``tenantpool doctor``: what it finds, and what it says is to be done."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tenantpool.embedded import EmbeddedPostgres
from tests.cli.conftest import Serve
from tests.cli.serving import COMMAND, LONGEST, ROOT, environment
from tests.support.servers import on_latest

PASSWORD = "a-secret-password"


class Patient:
    """A configuration that is examined."""

    def __init__(self, home: Path, postgres: EmbeddedPostgres, dbname: str) -> None:
        self._config = home / "tenantpool.yaml"
        self._environ = environment(XDG_RUNTIME_DIR=str(home / "run"))
        self.settings: dict[str, Any] = {
            "databases": {"main": {"conninfo": postgres.dsn(), "capacity": 20}},
            "tenants": {"acme": {"dbname": dbname}},
            "service": {"grpc_port": 1, "max_sessions": 50},
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        self._config.write_text(yaml.safe_dump(self.settings))
        return subprocess.run(
            [*COMMAND, "doctor", "--config", str(self._config), *words],
            cwd=ROOT,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )

    def examine(self, code: int) -> dict[str, dict[str, str]]:
        """What it finds, by subject; it must end with that *code*."""
        done = self.run("--json")
        assert done.returncode == code, done
        assert PASSWORD not in done.stdout + done.stderr
        return {check["subject"]: check for check in json.loads(done.stdout)["checks"]}

    def say(self, **database: Any) -> None:
        self.settings["databases"]["main"].update(database)


@pytest.fixture
def patient(tmp_path: Path, postgres: EmbeddedPostgres, database: str) -> Patient:
    return Patient(tmp_path, postgres, database)


@pytest.fixture
def login(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A login role that is no superuser."""
    postgres.execute(f"create role plain login password '{PASSWORD}'")
    yield "plain"
    postgres.execute("drop role plain")


@on_latest
def test_a_plain_login_with_room_is_well(patient: Patient, login: str) -> None:
    patient.say(conninfo=f"{patient.settings['databases']['main']['conninfo']} user={login}")
    found = patient.examine(0)
    assert {check["finding"] for check in found.values()} == {"ok"}
    assert "PostgreSQL" in found["database main: login"]["seen"]
    assert "max_connections 100" in found["database main: capacity"]["seen"]
    assert found["service"]["seen"].startswith("none answers at unix:")
    assert set(found) >= {
        *("configuration", "file descriptors", "folder of the sockets"),
        *(f"database main: {name}" for name in ("other users", "ending backends", "clock")),
        *(f"database main: {name}" for name in ("encryption", "pg_hba.conf")),
    }


@on_latest
def test_people_get_a_table_with_what_is_to_be_done(patient: Patient) -> None:
    patient.say(capacity=5000)
    done = patient.run()
    assert done.returncode == 5
    assert "ok       configuration" in done.stdout
    assert "problem  database main: capacity" in done.stdout
    assert "→ databases.main.capacity: 92, or max_connections = 5008" in " ".join(
        done.stdout.split()
    )


@on_latest
def test_a_superuser_is_a_warning(patient: Patient) -> None:
    found = patient.examine(4)
    assert "row-level security does not hold" in found["database main: login"]["seen"]


@on_latest
def test_capacity_and_others_must_fit_together(
    patient: Patient, postgres: EmbeddedPostgres
) -> None:
    patient.say(capacity=94, headroom=0)
    with (
        psycopg.connect(postgres.dsn(), application_name="cron"),
        psycopg.connect(postgres.dsn(), application_name="cron"),
        psycopg.connect(postgres.dsn(), application_name="tenantpool/tenantpool"),
        psycopg.connect(postgres.dsn(), application_name="cron") as last,
        psycopg.connect(postgres.dsn(), application_name="cron"),
    ):
        found = patient.examine(4)
        last.close()
    others = found["database main: other users"]
    assert "cron 4" in others["seen"]
    assert "lower databases.main.capacity" in others["remedy"]
    assert found["database main: capacity"]["finding"] == "warning"


@on_latest
def test_auto_says_what_it_comes_to(patient: Patient) -> None:
    patient.say(capacity="auto", headroom=7)
    found = patient.examine(4)
    assert "auto gives 90, headroom 7" in found["database main: capacity"]["seen"]


@on_latest
def test_it_opens_one_connection_to_a_database(
    patient: Patient, postgres: EmbeddedPostgres
) -> None:
    postgres.execute("create role one login connection limit 1")
    try:
        patient.say(conninfo=f"{patient.settings['databases']['main']['conninfo']} user=one")
        found = patient.examine(5)
    finally:
        postgres.execute("drop role one")
    limit = found.pop("database main: role limit")
    assert "may have 1 connections, capacity is 20" in limit["seen"]
    assert limit["remedy"] == "ALTER ROLE one CONNECTION LIMIT -1"
    assert {check["finding"] for check in found.values()} == {"ok"}


@on_latest
def test_a_login_that_may_not_end_another_is_a_problem(
    patient: Patient, postgres: EmbeddedPostgres, login: str
) -> None:
    postgres.execute("create role tenant_login login")
    patient.say(conninfo=f"{patient.settings['databases']['main']['conninfo']} user={login}")
    patient.settings["tenants"]["acme"]["user"] = "tenant_login"
    try:
        found = patient.examine(5)
        problem = found["database main: ending backends"]
        assert "may not end backends of tenant_login" in problem["seen"]
        postgres.execute(problem["remedy"])
        patient.examine(0)
    finally:
        postgres.execute("drop role tenant_login")


@on_latest
def test_a_server_that_is_not_there_is_a_problem_and_the_rest_goes_on(patient: Patient) -> None:
    patient.say(conninfo=f"host=/nowhere password={PASSWORD}")
    found = patient.examine(5)
    assert found["database main: login"]["finding"] == "problem"
    assert "databases.main.conninfo" in found["database main: login"]["remedy"]
    assert found["folder of the sockets"]["finding"] == "ok"


@on_latest
def test_a_role_that_does_not_exist_is_explained(patient: Patient) -> None:
    patient.say(conninfo=f"{patient.settings['databases']['main']['conninfo']} user=nobody")
    login = patient.examine(5)["database main: login"]
    assert 'role "nobody" does not exist' in login["seen"]
    assert login["remedy"] == "create it, or correct databases.main.conninfo"


@on_latest
def test_mistakes_in_the_configuration_are_2_with_their_places(patient: Patient) -> None:
    patient.settings["default_tier"] = "prp"
    done = patient.run("--json")
    assert done.returncode == 2
    (check,) = json.loads(done.stdout)["checks"]
    assert "tenantpool.yaml:" in check["seen"]
    assert "default_tier: there is no tier prp" in check["seen"]
    assert check["finding"] == "problem"


@on_latest
def test_too_few_file_descriptors_are_counted(patient: Patient) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    patient.settings["service"]["max_sessions"] = soft
    found = patient.examine(4)["file descriptors"]
    needed = 64 + 3 * 20 + 2 * soft
    assert f"need {needed:,}" in found["seen"]
    assert f"LimitNOFILE={needed}" in found["remedy"]


@on_latest
def test_a_folder_that_is_open_to_everybody_is_a_problem(patient: Patient, tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    patient.settings["service"]["folder"] = str(folder)
    found = patient.examine(5)["folder of the sockets"]
    assert found["remedy"] == f"chmod o-rwx {folder}"


@on_latest
def test_a_service_that_runs_is_asked_for_its_version_and_health(
    serve: Serve, patient: Patient
) -> None:
    service = serve()
    done = service.run("doctor", "--json", "--config", str(service.config))
    found = {check["subject"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 4  # its login is a superuser's
    assert found["service: version"]["finding"] == "ok"
    assert found["service: health"]["seen"] == "All is well."
    assert found["service: alerts"]["seen"] == "none fires"
    assert found["database main: other users"]["seen"] == "nobody else is connected"
    assert service.stop() == 0
    gone = service.run("doctor", "--config", str(service.config), "--target", service.target)
    assert gone.returncode == 5
    assert "start it, or correct --target" in gone.stdout
