"""``tenantpool exec`` as a user runs it: programs that nobody here wrote, and how they end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tenantpool import TenantLimit
from tenantpool.client import AsyncLeaseClient, LeaseClient
from tests.cli.conftest import Serve
from tests.cli.serving import COMMAND, ROOT, environment
from tests.service.certificates import Authority
from tests.support.servers import on_latest
from tests.support.wait import wait_until

TOKEN = "a-token-of-the-script"

CONNECT = "import psycopg; conn = psycopg.connect(); print(conn.info.dbname, flush=True); "

needs = pytest.mark.skipif


@on_latest
@needs(shutil.which("psql") is None, reason="psql is not installed")
def test_psql(serve: Serve, database: str) -> None:
    service = serve()
    script = "select current_database()\\g (format=unaligned tuples_only=on)\n\\c\nselect 1;"
    done = service.exec("acme", "--", "psql", "-qX", "-c", "select current_database()")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert database in done.stdout
    again = service.exec("acme", "--", "sh", "-c", f"printf '%s' '{script}' | psql -qX")
    assert again.returncode == 0, again
    assert service.leases() == []


@on_latest
@needs(shutil.which("psql") is None, reason="psql is not installed")
def test_psql_gets_the_database_of_its_tenant_or_is_told_so(serve: Serve, database: str) -> None:
    service = serve()
    script = f"""unset PGDATABASE
        for name in "" acme {database}; do
            psql -qXAt -d "$name" -c 'select current_database()'
        done"""
    done = service.exec("acme", "--", "sh", "-c", script)
    assert (done.stdout.split(), done.stderr) == ([database] * 3, "")
    done = service.exec("acme", "--", "psql", "-qX", "-c", "\\c elsewhere")
    assert done.returncode != 0
    assert 'this lease does not lead to database "elsewhere"' in done.stderr
    assert f'HINT:  Leave the database out, or use "{database}" or "acme".' in done.stderr
    assert service.leases() == []


@on_latest
@needs(shutil.which("pgbench") is None, reason="pgbench is not installed")
def test_pgbench_takes_a_lease_for_each_connection(serve: Serve) -> None:
    service = serve()
    assert service.exec("acme", "--", "pgbench", "-iq").returncode == 0
    done = service.exec("acme", "--", "pgbench", "-c", "6", "-j", "2", "-t", "20")
    assert "number of transactions actually processed: 120/120" in done.stdout, done
    assert service.leases() == []


@on_latest
def test_over_tcp_with_a_token_from_a_file(serve: Serve, tmp_path: Path) -> None:
    identities = {"script": {"tokens": [TOKEN], "tenants": ["acme"]}}
    service = serve(identities=identities)
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    target = next(line for line in service.said if "leases:" in line).split()[-1]
    connect = [sys.executable, "-c", CONNECT + "print(conn.info.host)"]
    words = ["--target", target, "--token-file", str(token), "acme", "--", *connect]
    done = service.exec(*words)
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[-1] == "127.0.0.1"
    assert service.exec("acme", "--", "true", TENANTPOOL_TOKEN=TOKEN).returncode == 0
    refused = service.exec("initech", "--", "true", TENANTPOOL_TOKEN=TOKEN)
    assert refused.returncode == 125
    assert "script may not lease connections of 'initech'" in refused.stderr
    stranger = service.exec("acme", "--", "true", TENANTPOOL_TOKEN="another-token-of-nobody")
    assert stranger.returncode == 125
    assert TOKEN not in service.log + refused.stderr


@on_latest
@needs(shutil.which("openssl") is None, reason="openssl is not installed")
def test_with_client_certificates_all_the_way(serve: Serve, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("service", "localhost", "IP:127.0.0.1")
    mine, my_key = authority.sign("script", "script")
    service = serve(
        tls={
            "certificate": str(certificate),
            "key": str(key),
            "client_ca": str(tmp_path / "ca.pem"),
        },
        identities={"script": {"certificates": ["CN=script"], "tenants": ["acme"]}},
    )
    target = next(line for line in service.said if "leases:" in line).split()[-1]
    words = ["--target", target, "--tls-ca", str(authority.certificate)]
    words += ["--tls-cert", str(mine), "--tls-key", str(my_key)]
    connect = [sys.executable, "-c", CONNECT + "print(conn.pgconn.ssl_in_use)"]
    done = service.exec(*words, "acme", "--", *connect)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["True"]), done
    assert service.exec(*words, "initech", "--", "true").returncode == 125


@on_latest
def test_the_exit_code_is_the_programs(serve: Serve, tmp_path: Path) -> None:
    service = serve()
    file = tmp_path / "not_a_program"
    file.write_text("")
    cases = [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "kill -9 $$"], 128 + 9),
        ([str(file)], 126),
        (["no-such-program-here"], 127),
    ]
    for command, code in cases:
        assert service.exec("acme", "--", *command).returncode == code
    assert service.leases() == []


@on_latest
def test_what_would_lead_the_program_elsewhere_is_taken_out(serve: Serve, database: str) -> None:
    service = serve()
    elsewhere = {"PGHOSTADDR": "192.0.2.1", "PGSERVICE": "nowhere", "PGDATABASE": "wrong"}
    done = service.exec("acme", "--", sys.executable, "-c", CONNECT, **elsewhere)
    assert (done.returncode, done.stdout.strip()) == (0, database), done


@on_latest
def test_a_refusal_is_explained_before_the_program_starts(serve: Serve) -> None:
    service = serve()
    unknown = service.exec("nobody", "--", "echo", "started")
    assert (unknown.returncode, unknown.stdout) == (125, "")
    assert "nobody: UNKNOWN_TENANT" in unknown.stderr
    with service.begin_exec("initech", "--", "sh", "-c", "echo started; read line") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "started\n"
        full = service.exec("--timeout", "0.1", "initech", "--", "echo", "started")
    assert (full.returncode, full.stdout) == (125, "")
    assert "initech: TENANT_LIMIT: tier single allows 1" in full.stderr
    assert "held by initech: 1" in full.stderr


def test_without_a_service_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "exec", "--target", f"unix:{tmp_path}", "acme", "--", "true"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 125
    assert f"tenantpool exec: unix:{tmp_path}: " in done.stderr


@on_latest
def test_a_signal_goes_to_the_program(serve: Serve) -> None:
    service = serve()
    script = "trap 'echo told; exit 5' TERM; echo started; while :; do sleep 0.05; done"
    with service.begin_exec("acme", "--", "sh", "-c", script) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
        running.send_signal(signal.SIGTERM)
        assert running.stdout.read() == "told\n"
        assert running.wait() == 5
    assert service.leases() == []


@on_latest
def test_a_signal_ends_the_wait_for_a_lease(serve: Serve) -> None:
    service = serve()
    with service.begin_exec("initech", "--", "sh", "-c", "echo started; read line") as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with service.begin_exec("--timeout", "600", "initech", "--", "true") as waiting:
            wait_until(lambda: service.waiting("initech") == 1, what="it waits")
            waiting.send_signal(signal.SIGTERM)
            assert waiting.wait() == 128 + signal.SIGTERM


@on_latest
def test_the_lease_of_one_that_was_killed_ends_with_its_session(serve: Serve) -> None:
    service = serve(session_ttl=1, lease_grace=0.2)
    script = CONNECT + "conn.execute('select pg_sleep(600)')"
    with service.begin_exec("initech", "--", sys.executable, "-c", script) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        (lease,) = service.leases()
        running.kill()
        # Its program lives on, and loses its connection.
        assert running.stdout.read() == ""
    assert service.leases() == []
    wait_until(lambda: not os.path.exists(f"/proc/{lease.backend_pid}"), what="the backend is gone")
    assert service.exec("--timeout", "5", "initech", "--", "true").returncode == 0


@on_latest
async def test_python_programs_get_the_same_variables(serve: Serve, database: str) -> None:
    service = serve()
    async with AsyncLeaseClient(service.target) as leases:
        names = await leases.environment("acme", timeout=2)
        assert [lease.delivery for lease in service.leases()] == [""]
        conninfo = make_conninfo(
            host=names["PGHOST"],
            port=names["PGPORT"],
            user=names["PGUSER"],
            password=names["PGPASSWORD"],
        )
        async with (
            await psycopg.AsyncConnection.connect(conninfo) as first,
            await psycopg.AsyncConnection.connect(conninfo) as second,
        ):
            assert names["PGDATABASE"] == database
            for conn in (first, second):
                cursor = await conn.execute("select current_database()")
                assert await cursor.fetchone() == (database,)
            assert [lease.delivery for lease in service.leases()] == ["gateway", "gateway"]
        await leases.environment("initech")
        with pytest.raises(TenantLimit, match="tier single allows 1"):
            await leases.environment("initech", timeout=0)
    assert service.leases() == []
    with LeaseClient(service.target) as leases:
        assert leases.environment("acme")["PGUSER"].startswith("acme@")
    assert service.leases() == []
