# Generated from ../_async/helpers.py by tools/generate_sync.py: do not edit.
"""What the tests of both clients need in two versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import pytest

from tenantpool.client import LeaseClient
from tests.client.fake import FakeService
from tests.manager._sync.helpers import Background, raises, wait_until

__all__ = ["Background", "Oops", "OpenClient", "open_client", "raises", "wait_until"]

Client = LeaseClient[Any]


class Oops(Exception):
    """Raised in a block."""


class OpenClient(Protocol):
    """The fixture ``open_client``."""

    def __call__(self, **options: Any) -> Client: ...


@pytest.fixture
def open_client(fake: FakeService) -> Iterator[OpenClient]:
    """``open_client(...)`` returns a client of the fake, which is closed with the test.

    It does not park leases unless it is told to.
    """
    with ExitStack() as stack:

        def open_one(**options: Any) -> Client:
            options = {"linger": 0, "kwargs": {"autocommit": True}, **options}
            client: Client = LeaseClient(f"unix:{fake.folder}", **options)
            return stack.enter_context(client)

        yield open_one
