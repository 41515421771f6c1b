"""Fixtures of the dashboard's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.browser import MISSING, Browser, find_browser
from tests.support.grpc_poller import grpc_poller

__all__ = ["grpc_poller"]


@pytest.fixture(autouse=True, scope="session")
def _grpc(grpc_poller: None) -> None:
    """The service always has its gRPC server."""


@pytest.fixture(scope="session")
def shared_browser() -> Iterator[Browser]:
    if find_browser() is None:
        pytest.skip(MISSING)
    with Browser() as browser:
        yield browser


@pytest.fixture
def browser(shared_browser: Browser) -> Browser:
    """As it was at first: nobody is logged in, and it has complained of nothing."""
    shared_browser.call("Network.clearBrowserCookies")
    shared_browser.call("Emulation.setScriptExecutionDisabled", value=False)
    shared_browser.resize(1280, 800)
    shared_browser.open("about:blank#")
    shared_browser.console.clear()
    return shared_browser
