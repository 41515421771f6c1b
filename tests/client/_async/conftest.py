"""Fixtures of the tests of the client on tasks."""

from __future__ import annotations

import pytest

from tests.client._async.helpers import Client, OpenClient, open_client

__all__ = ["open_client"]


@pytest.fixture
async def client(open_client: OpenClient) -> Client:
    """A client that parks nothing, in autocommit mode."""
    return await open_client()
