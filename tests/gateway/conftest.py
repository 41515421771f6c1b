"""Every test of the gateway runs on asyncio's own event loop, and on uvloop."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.gateway.listener import Gateway
from tenantpool.gateway.relays import PURE_PYTHON, Relays
from tests.gateway.support import House, PlainExchange

# The first loop of libuv opens a pipe for signals that the process keeps: no test leaks it.
uvloop.new_event_loop().close()


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="tpgw-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def relays(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the house's gateway relays with: C or Python, see ``in_both``; else what there is."""
    language = getattr(request, "param", None)
    if language is not None:
        monkeypatch.setenv(PURE_PYTHON, "1" if language == "Python" else "")
    if language == "C" and Relays().language != language:
        pytest.skip("the splice is not compiled: python tools/build_splice.py says why")


@pytest.fixture
async def house(
    postgres: EmbeddedPostgres, database: str, folder: Path, relays: None
) -> AsyncIterator[House]:
    """A gateway on TCP and a Unix socket, in front of an empty database."""
    unhandled: list[dict[str, object]] = []  # what asyncio would only log
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
    exchange = PlainExchange(postgres.dsn(database))
    gateway = Gateway(exchange)
    port = await gateway.listen_tcp("127.0.0.1", 0)
    await gateway.listen_unix(folder, port)
    yield House(exchange, gateway, folder, port)
    await gateway.close()
    exchange.close()
    await asyncio.sleep(0)
    assert not unhandled
