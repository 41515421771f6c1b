"""``tenantpool serve`` as a user runs it: what it says, how it ends, and with which exit code."""

from __future__ import annotations

import json
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tenantpool.client import LeaseClient
from tenantpool.embedded import EmbeddedPostgres
from tests.cli.conftest import Serve
from tests.cli.serving import Serving
from tests.support.servers import on_latest
from tests.support.wait import wait_until

BACKENDS = "select count(*) from pg_stat_activity where application_name like 'tenantpool/%%'"


def sockets(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_socket())


@on_latest
def test_it_says_where_it_listens_and_ends_well(serve: Serve, postgres: EmbeddedPostgres) -> None:
    service = serve()
    said = "\n".join(service.said)
    assert f"leases:   {service.target}, 127.0.0.1:" in said
    assert f"gateway:  {service.folder} port 1, 127.0.0.1 port " in said
    assert "dashboard: http://127.0.0.1:" in said
    assert "try:      tenantpool exec acme -- psql" in said
    assert sockets(service.folder) == [".s.PGSQL.1", "grpc.sock", "session.sock"]
    with (
        LeaseClient(service.target) as leases,
        leases.connection("acme") as conn,
    ):
        assert conn.execute("select 1").fetchone() == (1,)
    assert service.stop() == 0
    assert sockets(service.folder) == []
    assert postgres.execute(BACKENDS) == [(0,)]
    assert "Traceback" not in service.log


@on_latest
def test_a_lease_that_does_not_come_back_is_cut_and_the_code_is_3(
    serve: Serve, postgres: EmbeddedPostgres
) -> None:
    service = serve(drain_grace=0.2)
    with LeaseClient(service.target, delivery="gateway") as leases:
        conn = leases.acquire("acme")
        assert service.stop() == 3
        assert service.said[-1] == "leases that did not come back in time, and were cut: 1"
        assert postgres.execute(BACKENDS) == [(0,)]
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
        leases.release(conn)


@on_latest
def test_a_lease_has_the_grace_to_come_back(serve: Serve) -> None:
    service = serve(drain_grace=60)
    with LeaseClient(service.target) as leases:
        with leases.connection("acme") as conn:
            service.signal(signal.SIGTERM)
            service.wait_for("stopping")
            assert conn.execute("select 1").fetchone() == (1,)
        assert service.wait() == 0


@on_latest
def test_a_second_signal_does_not_wait(serve: Serve) -> None:
    service = serve(drain_grace=600)
    with LeaseClient(service.target) as leases:
        conn = leases.acquire("acme")
        service.signal(signal.SIGINT)
        service.wait_for("stopping")
        service.signal(signal.SIGTERM)
        assert service.wait() == 3
        leases.release(conn)


@on_latest
def test_a_folder_is_for_one_service(serve: Serve) -> None:
    service = serve()
    second = service.run_again()
    assert second.returncode == 2
    assert f"error: service.folder: another service runs in {service.folder}" in second.stderr
    assert service.exec("acme", "--", "true").returncode == 0


@on_latest
def test_a_port_that_is_taken_is_2_in_one_line(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, ExitStack() as stack:
        port = other.getsockname()[1]
        taken = {"grpc_port": port, "gateway_port": 0, "http_port": None}
        service = Serving(serve().settings | {"service": taken})
        stack.callback(service.clean_up)
        with pytest.raises(AssertionError, match="it has ended"):
            service.start()
        assert service.wait() == 2
        assert service.log.splitlines() == [
            f"error: service.grpc_port: cannot listen at 127.0.0.1:{port}; "
            "is another program there? take another one"
        ]


@on_latest
def test_sighup_changes_nothing_and_says_so(serve: Serve) -> None:
    service = serve("--log-format", "json")
    service.signal(signal.SIGHUP)
    wait_until(lambda: "SIGHUP" in service.log)
    entries = [json.loads(line) for line in service.log.splitlines()]
    (entry,) = (entry for entry in entries if "SIGHUP" in entry["event"])
    assert (entry["level"], entry["logger"]) == ("warning", "tenantpool")
    assert service.stop() == 0


def test_a_configuration_that_is_wrong_is_2_and_nothing_is_started() -> None:
    wrong = {"service": {"listen": ["0.0.0.0"]}}
    service = Serving(wrong)
    with pytest.raises(AssertionError, match="it has ended"):
        service.start()
    assert service.wait() == 2
    assert "0.0.0.0 can be reached by others, and nobody has to prove who they are" in service.log
    assert service.said == []
    service.clean_up()


def test_without_a_database_it_starts_one_with_those_of_its_tenants() -> None:
    settings = {
        "tenants": {"hooli": {}, "stark": {"dbname": "stark"}},
        "service": {"grpc_port": 0, "gateway_port": 0, "http_port": 0},
    }
    with Serving(settings) as service:
        assert service.said[0] == "no database is configured: a PostgreSQL of our own was started"
        assert "it has the databases tenant_hooli, stark" in service.said[1]
        with LeaseClient(service.target) as leases:
            for tenant, dbname in (("hooli", "tenant_hooli"), ("stark", "stark")):
                with leases.connection(tenant) as conn:
                    assert conn.info.dbname == dbname
        assert service.stop() == 0
