"""Whom a failed connect speaks of, asked of real servers, and in the words of others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import psycopg
import pytest

from tenantpool.embedded import HOST, EmbeddedPostgres
from tenantpool.pools.failures import Failure, classify
from tests.support.severer import Severer
from tests.support.wait import wait_until

TENANT_FOR_GOOD = Failure(everywhere=False, final=True)
TENANT_FOR_NOW = Failure(everywhere=False, final=False)
DATABASE_FOR_NOW = Failure(everywhere=True, final=False)

PASSWORD = "s3cret-w0rd"


def failure_of(dsn: str) -> Failure:
    with pytest.raises((psycopg.Error, OSError)) as caught:
        psycopg.connect(dsn).close()
    assert PASSWORD not in str(caught.value)
    return classify(caught.value)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A small server that asks for passwords over TCP."""
    settings = {"max_connections": "5", "superuser_reserved_connections": "1"}
    with EmbeddedPostgres(settings=settings) as server:
        server.execute(f"create role somebody login password '{PASSWORD}'")
        server.execute("create role nobody_logs_in nologin")
        server.execute("create role locked_out login")
        server.create_database("full")
        server.create_database("closed")
        server.execute('alter database "full" connection limit 0')
        server.execute("alter database closed allow_connections false")
        server.execute("revoke connect on database template1 from public")
        rules = server.data_dir / "pg_hba.conf"
        rules.write_text(
            f"host all locked_out {HOST}/32 reject\n"
            f"host all somebody {HOST}/32 scram-sha-256\n" + rules.read_text()
        )
        server.restart()
        yield server


def somebody(server: EmbeddedPostgres, **params: Any) -> str:
    return server.dsn(**{"host": HOST, "user": "somebody", "password": PASSWORD, **params})


def test_the_right_password_connects(server: EmbeddedPostgres):
    psycopg.connect(somebody(server)).close()


@pytest.mark.parametrize(
    ("params", "failure"),
    {
        "no such database": ({"dbname": "nowhere"}, TENANT_FOR_GOOD),
        "wrong password": ({"password": "wrong"}, TENANT_FOR_GOOD),
        "no password": ({"password": ""}, TENANT_FOR_GOOD),
        "no such role": ({"host": None, "user": "stranger"}, TENANT_FOR_GOOD),
        "may not log in": ({"host": None, "user": "nobody_logs_in"}, TENANT_FOR_GOOD),
        "not let in from here": ({"user": "locked_out"}, TENANT_FOR_GOOD),
        "may not connect": ({"dbname": "template1"}, TENANT_FOR_GOOD),
        "database takes nobody": ({"dbname": "closed"}, TENANT_FOR_GOOD),
        "database is full": ({"dbname": "full"}, TENANT_FOR_NOW),
        "bad start-up option": ({"options": "-c work_mem=much"}, TENANT_FOR_NOW),
    }.values(),
)
def test_what_the_server_says_of_one_tenant(
    params: dict[str, Any], failure: Failure, server: EmbeddedPostgres
):
    if "host" in params:
        params = params | {"host": str(server.socket_dir)}
    assert failure_of(somebody(server, **params)) == failure


def test_a_role_that_has_all_its_connections_is_one_tenants_trouble(server: EmbeddedPostgres):
    server.execute("alter role somebody connection limit 1")
    try:
        with psycopg.connect(somebody(server)):
            assert failure_of(somebody(server)) == TENANT_FOR_NOW
    finally:
        server.execute("alter role somebody connection limit -1")


def test_a_server_that_is_full_is_everybodys_trouble(server: EmbeddedPostgres):
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(psycopg.connect(somebody(server)))
        with pytest.raises(psycopg.OperationalError, match="reserved for"):
            psycopg.connect(somebody(server))
        assert failure_of(somebody(server)) == DATABASE_FOR_NOW
        stack.enter_context(psycopg.connect(server.dsn()))
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            psycopg.connect(server.dsn())
        assert failure_of(server.dsn()) == DATABASE_FOR_NOW


def test_a_server_that_shuts_down_is_everybodys_trouble(server: EmbeddedPostgres):
    with psycopg.connect(server.dsn()) as conn:
        process = server._process
        assert process is not None
        process.terminate()  # smart: it waits for this session, and takes no other
        wait_until(lambda: is_refusing(server))
        assert failure_of(server.dsn()) == DATABASE_FOR_NOW
        conn.close()
    server.restart()


def is_refusing(server: EmbeddedPostgres) -> bool:
    with suppress(psycopg.OperationalError):
        psycopg.connect(server.dsn()).close()
        return False
    return True


def test_a_session_that_an_administrator_ended_while_it_began_says_nothing_of_the_tenant():
    message = "connection failed: FATAL:  terminating connection due to administrator command"
    assert classify(psycopg.OperationalError(message)) == DATABASE_FOR_NOW


def test_a_port_that_nobody_listens_on(server: EmbeddedPostgres):
    server.stop()
    try:
        assert failure_of(somebody(server)) == DATABASE_FOR_NOW
        assert failure_of(server.dsn()) == DATABASE_FOR_NOW
    finally:
        server.start()


def test_a_host_that_does_not_resolve():
    assert failure_of("host=nowhere.invalid connect_timeout=2") == DATABASE_FOR_NOW


def test_a_network_that_says_nothing(server: EmbeddedPostgres):
    with Severer(server.port) as network:
        network.pause()
        assert (
            failure_of(somebody(server, port=network.port, connect_timeout=2)) == DATABASE_FOR_NOW
        )
        network.heal()


def test_a_server_that_hangs_up():
    with hanging_up() as port:
        assert failure_of(f"host={HOST} port={port}") == DATABASE_FOR_NOW


@contextmanager
def hanging_up() -> Iterator[int]:
    """A port that takes a connection and closes it at once."""
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    listener.accept()[0].close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


AT = 'connection to server at "10.0.0.1", port 5432 failed: '

TRANSLATED = {
    "French server": (AT + "FATAL:  la base de données « acme » n'existe pas", TENANT_FOR_NOW),
    "German server": (AT + "FATAL:  Datenbank »acme« existiert nicht", TENANT_FOR_NOW),
    "Russian server": (AT + 'ВАЖНО:  база данных "acme" не существует', TENANT_FOR_NOW),
    "Japanese server": (AT + 'FATAL:  データベース"acme"は存在しません', TENANT_FOR_NOW),
    "Turkish server": (AT + 'ÖLÜMCÜL (FATAL):  "acme" diye bir yer yok', TENANT_FOR_NOW),
    "French libpq": (
        "la connexion au serveur sur « 10.0.0.1 », port 5432 a échoué : "
        "FATAL:  authentification par mot de passe échouée pour l'utilisateur « acme »",
        TENANT_FOR_NOW,
    ),
    "German libpq": (
        "Verbindung zum Server auf »10.0.0.1«, Port 5432 fehlgeschlagen: "
        "FATAL:  Passwort-Authentifizierung für Benutzer »acme« fehlgeschlagen",
        TENANT_FOR_NOW,
    ),
    "German libpq, no server": (
        "Verbindung zum Server auf »10.0.0.1«, Port 5432 fehlgeschlagen: "
        "Verbindungsaufbau abgelehnt\n\tLäuft der Server dort und akzeptiert er "
        "TCP/IP-Verbindungen?",
        DATABASE_FOR_NOW,
    ),
    "several hosts": (
        "connection failed: " + AT + "Connection refused\n\tIs the server running?\n"
        "Multiple connection attempts failed. All failures were:\n"
        "- host: 'a', port: '5432': " + AT + "Connection refused\n"
        "- host: 'b', port: '5432': " + AT + "Connection refused",
        DATABASE_FOR_NOW,
    ),
    "a time limit": ("connection timeout expired", DATABASE_FOR_NOW),
    "a password that is missing": ("fe_sendauth: no password supplied", TENANT_FOR_GOOD),
}


@pytest.mark.parametrize(("text", "failure"), TRANSLATED.values(), ids=TRANSLATED)
def test_a_server_may_speak_any_language(text: str, failure: Failure):
    assert classify(psycopg.OperationalError(text)) == failure


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), TimeoutError()])
def test_what_never_reached_a_server_is_everybodys_trouble(error: OSError):
    assert classify(error) == DATABASE_FOR_NOW
