"""What the tests of both clients need in two versions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest

from tenantpool.client import AsyncLeaseClient
from tests.client.fake import FakeService
from tests.manager._async.helpers import Background, raises, wait_until

__all__ = ["Background", "Oops", "OpenClient", "open_client", "raises", "wait_until"]

Client = AsyncLeaseClient[Any]


class Oops(Exception):
    """Raised in a block."""


class OpenClient(Protocol):
    """The fixture ``open_client``."""

    async def __call__(self, **options: Any) -> Client: ...


@pytest.fixture
async def open_client(fake: FakeService) -> AsyncIterator[OpenClient]:
    """``open_client(...)`` returns a client of the fake, which is closed with the test.

    It does not park leases unless it is told to.
    """
    async with AsyncExitStack() as stack:

        async def open_one(**options: Any) -> Client:
            options = {"linger": 0, "kwargs": {"autocommit": True}, **options}
            client: Client = AsyncLeaseClient(f"unix:{fake.folder}", **options)
            return await stack.enter_async_context(client)

        yield open_one
