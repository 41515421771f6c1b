"""``tenantpool findings``: words for people, JSON for scripts."""

from __future__ import annotations

import json

from tenantpool.cli.tables import line_of
from tenantpool.client import LeaseClient
from tenantpool.insight import Insight
from tests.cli.conftest import Serve
from tests.support.servers import on_latest


@on_latest
def test_it_shows_what_workers_have_found(serve: Serve) -> None:
    service = serve()
    none = service.run("findings")
    assert (none.returncode, none.stdout[:17]) == (0, "nothing was found")
    with LeaseClient(service.target, worker="the worker", insight=Insight()) as leases:
        for tenant in ("acme", "initech"):
            with leases.connection(tenant) as conn:
                for number in range(101):
                    conn.execute("select 'secret', %s::int", [number])
    # The worker has said goodbye, so it has said everything.
    told = json.loads(service.run("findings", "--json").stdout)
    (found,) = told["findings"]
    assert told["findings_found"] == 1
    assert (found["kind"], found["tenants"]) == ("N+1", ["initech", "acme"])
    assert (found["times"], found["count"], found["worker"]) == (2, 101, "the worker")
    assert found["statement"] == "select ?::int"
    shown = service.run("findings")
    assert shown.stdout.startswith("N+1: initech, acme: 101 times in one lease")
    assert "    at " in shown.stdout
    assert "    fix " in shown.stdout
    assert "secret" not in shown.stdout
    assert service.run("findings", "--tenant", "nobody").stdout == "no finding is like that\n"
    assert service.stop() == 0


def test_what_workers_write_is_no_command_to_a_terminal() -> None:
    assert line_of("a\n  b\x1b[2J\x07\x9bc") == "a b [2J c"
