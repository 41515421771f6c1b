"""Fixtures of the dashboard's tests."""

from __future__ import annotations

import pytest

from tests.support.grpc_poller import grpc_poller

__all__ = ["grpc_poller"]


@pytest.fixture(autouse=True, scope="session")
def _grpc(grpc_poller: None) -> None:
    """The service always has its gRPC server."""
