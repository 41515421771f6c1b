# Generated from ../_async/conftest.py by tools/generate_sync.py: do not edit.
"""Fixtures of the tests of the client on tasks."""

from __future__ import annotations

import pytest

from tests.client._sync.helpers import Client, OpenClient, open_client

__all__ = ["open_client"]


@pytest.fixture
def client(open_client: OpenClient) -> Client:
    """A client that parks nothing, in autocommit mode."""
    return open_client()
