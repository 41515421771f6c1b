"""What a view looks like. Words and signs say everything; colours only repeat it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tenantpool.cli.health import STYLES
from tenantpool.cli.status import FIRING, alert_line, seconds
from tenantpool.cli.top.database_page import bar_of, database_page
from tenantpool.cli.top.feed import News
from tenantpool.cli.top.findings_page import findings_page
from tenantpool.cli.top.inquiry import Told
from tenantpool.cli.top.page import page_of
from tenantpool.cli.top.view import Order, View
from tenantpool.observe.figures import duration, number, plural
from tenantpool.v1.admin_service_pb2 import Tenant, WatchResponse

_KEYS = (
    "⏎ open  d database  f findings  / filter  ? help  q quit  "
    "b busiest  w wait  u in use  l leases  r refused  n name"
)
_PAGE_KEYS = "↑↓ scroll  q back  ? help"
_DATABASE_KEYS = f"d next database  {_PAGE_KEYS}"
_FINDINGS_KEYS = f"l latest  t times  o longest  i kind  n tenant  / filter  {_PAGE_KEYS}"
_HELP = """\
Tenants that hold or wait for something, the busiest first; any other order shows all of
those that were asked for.

  ↑ ↓ PgUp PgDn Home End   move            (or k j, space, g G)
  Enter                    open the tenant: limits, pool, leases, waiters, breaker
  d  open a database: connections by state and tenant, longest statements; d: the next one
  f  open the findings of query insight: what was found, where, and what would help
     there l sorts by the latest, t times, o longest, i kind, n tenant
  b  busiest: in use and waiting           w  longest wait now, then on average
  u  connections in use                    l  leases so far
  r  refusals so far                       n  name
  /  filter by name: type, Enter keeps it, Esc drops it
  q  back, or quit                         Ctrl-C quits from anywhere

In a bar, █ is in use, ▒ is open without a lease or on its way, · is free.

Any key goes back."""
_MOST_ALERTS = 3
_LINES_AROUND = 4
"""Of the list: one of the table's head, one each before and after, the keys."""


def picture(view: View, news: News, told: Told, target: str) -> RenderableType:
    """The whole screen."""
    if view.helps:
        return Text(_HELP)
    return _Screen(view, news, told, target)


class _Screen:
    """As much as the window has room for."""

    def __init__(self, view: View, news: News, told: Told, target: str) -> None:
        self._view = view
        self._news = news
        self._told = told
        self._target = target

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = console.size
        view, state = self._view, self._news.state
        if state is None:
            yield Text(self._news.problem or f"asking {self._target} ...")
            return
        if view.is_on_page:
            yield from self._page(self._body(state), console, options, height)
            return
        header = list(_header(state, self._news, self._target))
        yield from header
        room = max(1, height - _LINES_AROUND - len(header))
        yield _tenants(state, view, width, room)
        yield Text("")
        yield _foot(view, self._news, state)

    def _body(self, state: WatchResponse) -> RenderableType:
        """What the page says."""
        view, news, told = self._view, self._news, self._told
        if view.lists_findings:
            return findings_page(view, told)
        if view.database:
            found = [database for database in state.databases if database.name == view.database]
            return database_page(view.database, found[0] if found else None, told)
        if news.question.tenant != view.tenant:
            return Text(f"{view.tenant} ...", style="bold")
        return page_of(view.tenant, news.page)

    def _page(
        self, body: RenderableType, console: Console, options: ConsoleOptions, height: int
    ) -> RenderResult:
        view = self._view
        lines = console.render_lines(body, options.update(height=None), pad=False)
        room = max(1, height - 2)
        view.offset = min(view.offset, max(0, len(lines) - room))
        for line in lines[view.offset : view.offset + room]:
            yield from line
            yield Segment.line()
        yield self._page_foot(len(lines) - room - view.offset)

    def _page_foot(self, hidden: int) -> Text:
        """*hidden*: so many lines are below."""
        view = self._view
        if view.is_typing:
            return _typed(view)
        if problem := _problem(self._news):
            return problem
        keys = _DATABASE_KEYS if view.database else _PAGE_KEYS
        if view.lists_findings:
            keys = _FINDINGS_KEYS
        more = f"{plural(hidden, 'more line')} below  " if hidden > 0 else ""
        return Text(more + keys, style="dim", no_wrap=True, overflow="ellipsis")


# -- around the list ---------------------------------------------------------------------------


def _header(state: WatchResponse, news: News, target: str) -> Iterable[RenderableType]:
    yield Text.assemble(
        (f"{state.status}: ", STYLES.get(state.status, "bold")),
        (state.summary, "bold"),
        no_wrap=True,
        overflow="ellipsis",
    )
    waiting = sum(database.waiting for database in state.databases)
    yield Text(
        f"{number(news.leases_per_second)} leases/s, {number(news.refused_per_second)} refused/s, "
        f"{plural(state.leases, 'lease')} held by workers, {plural(state.sessions, 'session')}, "
        f"{waiting:,} waiting  (tenantpool {state.version}, {target})",
        no_wrap=True,
        overflow="ellipsis",
    )
    yield from _alerts(state)
    for database in state.databases:
        yield bar_of(database)


def _alerts(state: WatchResponse) -> Iterable[Text]:
    """The first that fire, and how many more there are; those that are pending need nobody yet."""
    firing = [alert for alert in state.alerts if alert.state == FIRING]
    for alert in firing[:_MOST_ALERTS]:
        style = STYLES.get(alert.severity, "")
        yield Text(alert_line(alert), style, no_wrap=True, overflow="ellipsis")
    if len(firing) > _MOST_ALERTS:
        more = plural(len(firing) - _MOST_ALERTS, "more alert")
        yield Text(f"and {more} (tenantpool status)", "bold")


def _typed(view: View) -> Text:
    return Text.assemble(("filter: ", "bold"), view.contains, ("▏", "blink"))


def _foot(view: View, news: News, state: WatchResponse) -> Text:
    if view.is_typing:
        return _typed(view)
    if problem := _problem(news):
        return problem
    text = Text(no_wrap=True, overflow="ellipsis")
    if view.contains:
        text.append(f"filter: {view.contains}  ", "bold")
    if state.tenants_found > len(state.tenants):
        text.append(f"first {len(state.tenants):,} of {state.tenants_found:,} tenants  ")
    text.append(_KEYS, "dim")
    return text


def _problem(news: News) -> Text | None:
    if not news.problem:
        return None
    words = f"no news, trying again: {news.problem}"
    return Text(words, style=STYLES["critical"], no_wrap=True, overflow="ellipsis")


# -- the list ----------------------------------------------------------------------------------


class _Column(NamedTuple):
    head: str
    width: int
    cell: Callable[[Tenant], str]
    order: Order | None = None
    is_number: bool = True


_COLUMNS = (
    _Column("Tenant", 18, lambda t: t.name, Order.NAME, False),
    _Column("In use", 9, lambda t: f"{t.in_use}/{t.cap}", Order.IN_USE),
    _Column("Waiting", 8, lambda t: f"{t.waiting:,}", Order.LOAD),
    _Column("Waits now", 10, lambda t: _wait(seconds(t.oldest_wait)), Order.WAIT),
    _Column("State", 9, lambda t: _state(t), None, False),
    _Column("Refused", 9, lambda t: f"{sum(t.refused.values()):,}", Order.REFUSED),
    _Column("Leases", 11, lambda t: f"{t.leases:,}", Order.LEASES),
    _Column("Mean wait", 10, lambda t: _wait(seconds(t.wait_mean))),
    _Column("Tier", 12, lambda t: t.tier, None, False),
    _Column("p99 wait", 10, lambda t: _wait(seconds(t.wait_p99))),
    _Column("Database", 12, lambda t: t.database, None, False),
    _Column("Pool", 24, lambda t: f"{t.pool} ({t.pool_size})", None, False),
)
"""By importance: a narrow window has fewer of them."""

_GAP = 1


def _tenants(state: WatchResponse, view: View, width: int, room: int) -> RenderableType:
    """As many lines as there is *room* for, the cursor among them."""
    if not state.tenants:
        return Text(_nobody(view), style="dim")
    columns = _that_fit(width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    table.add_column("", width=1)
    for column in columns:
        mark = "▼" if column.order is view.order else ""
        table.add_column(
            column.head + mark,
            justify="right" if column.is_number else "left",
            min_width=min(column.width, len(column.head) + 1),
            max_width=None if column.head == "Tenant" else column.width + 2,
            no_wrap=True,
        )
    cursor = view.cursor([tenant.name for tenant in state.tenants])
    first = max(0, min(cursor - room // 2, len(state.tenants) - room))
    for line, tenant in enumerate(state.tenants[first : first + room], first):
        is_here = line == cursor
        style = "reverse" if is_here else STYLES.get(tenant.status, "")
        if tenant.status == "healthy" and not is_here:
            style = ""
        cells = [Text(column.cell(tenant)) for column in columns]
        table.add_row(">" if is_here else "", *cells, style=style)
    return table


def _that_fit(width: int) -> Sequence[_Column]:
    """The most important columns, as many as the *width* takes; always two."""
    left, fitting = width - 2, list[_Column]()
    for column in _COLUMNS:
        left -= column.width + _GAP
        if left < 0 and len(fitting) >= 2:
            break
        fitting.append(column)
    return fitting


def _nobody(view: View) -> str:
    if view.contains:
        return f"no tenant's name contains {view.contains!r} (Esc drops the filter)"
    if view.order is Order.LOAD:
        return "no tenant holds a connection or waits for one (n shows all that were asked for)"
    return "no tenant has been asked for yet"


def _wait(value: float) -> str:
    return duration(value) if value else "-"


def _state(tenant: Tenant) -> str:
    """The worst that is to be said of it, in a word."""
    if tenant.breaker != "closed":
        return f"breaker {tenant.breaker}"
    return "draining" if tenant.draining else tenant.status
