"""``tenantpool top``: the service, live in a terminal.

``view`` is what the user looks at and does (pure), ``paint`` and the pages what that looks like,
``feed`` watches the service, ``inquiry`` asks it about the page that is open (``asking`` is what
they share), ``keys`` reads the keyboard, and ``screen`` puts them together.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tenantpool.cli.connection import Admin, administers
from tenantpool.cli.top.view import Order

EXAMPLES = """
[bold]Examples[/bold]

[cyan]tenantpool top[/cyan] - all tenants, the busiest first

[cyan]tenantpool top --sort wait --filter acme[/cyan] - some, those who wait longest first

[cyan]tenantpool top | head[/cyan] - into a pipe: once

[bold]Keys[/bold]: b w u l r n sort, / filters, Enter opens a tenant, d a database, f the \
findings, q goes back, ? helps.

[bold]Exit codes[/bold]: 0 it was shown, 1 the service cannot be reached or asked, 2 wrong usage.
"""


@administers
def top(
    admin: Admin,
    interval: Annotated[
        float, typer.Option(min=0.1, max=60.0, help="Seconds between two looks.")
    ] = 1.0,
    sort: Annotated[Order, typer.Option(help="Which tenants come first.")] = Order.LOAD,
    contains: Annotated[
        str, typer.Option("--filter", help="Only tenants whose name contains this.", metavar="TEXT")
    ] = "",
    once: Annotated[bool, typer.Option("--once", help="Print one table, and exit.")] = False,
) -> None:
    """Watch databases, tenants, leases and findings, live in a terminal.

    Where the output is no terminal, one table is printed.
    """
    from tenantpool.cli.status import read, show
    from tenantpool.cli.top.view import MOST

    state = read(admin, MOST, sort.value, contains)
    if once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        show(state, admin.target.name)
        return
    from tenantpool.cli.top.screen import run
    from tenantpool.cli.top.view import View

    run(admin, View(order=sort, contains=contains), interval)
