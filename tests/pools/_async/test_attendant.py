"""The attendant: one connection at most, bounded in all it does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg import OperationalError
from psycopg.conninfo import conninfo_to_dict

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.pools._async.attendant import AsyncAttendant
from tests.manager._async.helpers import Background
from tests.manager.support import kill
from tests.support.servers import on_latest
from tests.support.severer import Severer

pytestmark = on_latest

NAME = "attendant of a test"
PID = "select pg_backend_pid()"


def listed(postgres: EmbeddedPostgres) -> list[str]:
    sql = "select pid from pg_stat_activity where application_name = %s"
    return [str(pid) for (pid,) in postgres.execute(sql, [NAME])]


def attendant_of(dsn: str, timeout: float) -> AsyncAttendant:
    params = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    return AsyncAttendant(lambda: params, timeout)


@pytest.fixture
async def attendant(postgres: EmbeddedPostgres) -> AsyncIterator[AsyncAttendant]:
    attendant = attendant_of(postgres.dsn(application_name=NAME), 20)
    yield attendant
    await attendant.close()
    assert listed(postgres) == []


async def test_it_answers_in_text(attendant: AsyncAttendant):
    assert await attendant.ask("select $1::int + 1, $2::text, 'ünï'", "41", None) == [
        ("42", None, "ünï")
    ]
    assert await attendant.ask("select 1 where false") == []


async def test_it_connects_once_and_parts_when_it_is_idle(
    attendant: AsyncAttendant, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
):
    assert listed(postgres) == []
    jobs = [Background(attendant.ask, PID) for _ in range(5)]
    answers = {(await job.result())[0][0] for job in jobs}
    assert answers == set(listed(postgres))
    assert len(answers) == 1

    await attendant.rest()
    assert len(listed(postgres)) == 1
    monkeypatch.setattr("tenantpool.pools._async.attendant._IDLE", 0)
    assert attendant.is_idle
    await attendant.rest()
    assert listed(postgres) == []
    assert not attendant.is_idle


async def test_a_mistake_costs_no_connection(attendant: AsyncAttendant):
    [before] = await attendant.ask(PID)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await attendant.ask("select 1 / 0")
    assert await attendant.ask(PID) == [before]


async def test_a_connection_that_was_lost_is_replaced(
    attendant: AsyncAttendant, postgres: EmbeddedPostgres
):
    [(before,)] = await attendant.ask(PID)
    kill(postgres, int(before or 0))
    [(after,)] = await attendant.ask(PID)
    assert listed(postgres) == [after]


async def test_it_does_not_wait_for_ever(postgres: EmbeddedPostgres):
    with psycopg.connect(postgres.dsn()) as conn:
        port = conn.info.port
    with Severer(port) as severer:
        dsn = postgres.dsn(host="127.0.0.1", port=severer.port, application_name=NAME)
        attendant = attendant_of(dsn, 0.2)
        await attendant.ask(PID)
        severer.pause()
        with pytest.raises(OperationalError):
            await attendant.ask(PID)
        with pytest.raises(OperationalError, match="does not end"):
            await attendant.ask(PID)
        severer.heal()
        await attendant.ask(PID)
        await attendant.close()
