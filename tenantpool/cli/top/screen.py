"""The terminal: what is shown follows the keys, the service, and the window's size."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.live import Live

from tenantpool.cli.connection import Admin
from tenantpool.cli.top.feed import Feed
from tenantpool.cli.top.inquiry import Inquiry
from tenantpool.cli.top.keys import Keyboard
from tenantpool.cli.top.paint import picture
from tenantpool.cli.top.view import View
from tenantpool.v1.admin_service_pb2 import WatchResponse


def run(admin: Admin, view: View, interval: float) -> None:
    """Show *view* until the user has had enough."""
    for name in ("COLUMNS", "LINES"):  # else the window would keep the size that they say
        os.environ.pop(name, None)
    console = Console()
    with (
        _bell() as (heard, ring),
        suppress(KeyboardInterrupt, EOFError),
        Keyboard(sys.stdin.fileno()) as keyboard,
        Feed(admin, view.question, interval, lambda: _ring(ring)) as feed,
        Inquiry(admin, lambda: _ring(ring)) as inquiry,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while not view.is_over:
            shown = picture(view, feed.news, inquiry.told, admin.target.name)
            live.update(shown, refresh=True)
            ready, _, _ = select.select([keyboard.fd, heard], [], [])
            if heard in ready:
                os.read(heard, 1024)
            if keyboard.fd in ready:
                state = feed.news.state or WatchResponse()
                names = [tenant.name for tenant in state.tenants]
                databases = [database.name for database in state.databases]
                for key in keyboard.read():
                    view.press(key, names, databases)
                feed.ask(view.question)
                inquiry.ask(view.topic)


@contextmanager
def _bell() -> Iterator[tuple[int, int]]:
    """A pipe that wakes the loop up: for news, and when the window has another size.

    SIGTERM ends the loop as Ctrl-C does, so that the terminal is left as it was.
    """
    heard, ring = os.pipe()
    os.set_blocking(ring, False)
    before = {
        signal.SIGWINCH: signal.signal(signal.SIGWINCH, lambda *_: _ring(ring)),
        signal.SIGTERM: signal.signal(signal.SIGTERM, signal.default_int_handler),
    }
    try:
        yield heard, ring
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(heard)
        os.close(ring)


def _ring(ring: int) -> None:
    with suppress(BlockingIOError):  # it has been rung often enough
        os.write(ring, b"!")
