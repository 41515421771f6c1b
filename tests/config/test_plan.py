"""What a new configuration would change: in words, short, and without a secret."""

from __future__ import annotations

import time

import pytest

from tenantpool.config import Listing, Override, Overrides, Plan, Planner, Roster, Settings
from tenantpool.config.copytext import encode
from tenantpool.config.plan import plan

DATABASES = {
    "main": {"conninfo": "host=a user=app password=geheim", "capacity": 40},
    "second": {"conninfo": "host=b"},
}


def roster(**values: object) -> Roster:
    written = {"databases": DATABASES, "template": {"database": "main"}, **values}
    return Roster(Settings(**written))


def changes(old: Roster, new: Roster, *tenants: str) -> list[str]:
    made = plan(old, new, tenants)
    assert "geheim" not in str(made) + repr(made)
    return made.lines()


def listing(*rows: tuple[str | None, ...]) -> Listing:
    columns = ("id", "tier", "database")
    return Listing.build(columns, [encode(row + (None,) * (3 - len(row))) + b"\n" for row in rows])


def test_a_configuration_that_says_the_same_changes_nothing() -> None:
    old = roster(tenants={"acme": {"tier": "pro"}})
    made = plan(old, roster(tenants={"acme": {"tier": "pro"}}), ["acme", "other"])
    assert made == Plan(())
    assert not made


# -- tenants -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            {"tier": "pro"},
            {"tier": "enterprise"},
            "pro → enterprise (cap 25 → 50, weight 3 → 10, min_size 5 → 10)",
        ),
        ({}, {"database": "second"}, "moves from main to second"),
        (
            {"dbname": "a"},
            {"dbname": "b", "database": "second"},
            "moves from main/a to second/b",
        ),
        ({"dbname": "a"}, {"dbname": "b"}, "moves from main/a to main/b"),
        ({"dbname": "a"}, {"dbname": "a", "user": "acme"}, "logs in as acme"),
        (
            {"dbname": "a", "user": "u", "password": "geheim1"},
            {"dbname": "a", "user": "u", "password": "geheim2"},
            "password changed (connections are renewed)",
        ),
        (
            {"dbname": "a", "schema": "x", "settings": {"a.b": "geheim"}},
            {"dbname": "a", "schema": "y", "settings": {"a.b": "geheim2"}},
            "its sessions change (a.b, search_path)",
        ),
        ({}, {"suspended": True}, "suspended (the configuration says so)"),
        (
            {"tier": "pro", "suspended": True},
            {"tier": "basic"},
            "pro → basic (cap 25 → 10, weight 3 → 1, min_size 5 → 2); no longer suspended",
        ),
    ],
)
def test_a_change_of_a_tenant_is_told_in_words(
    old: dict[str, object], new: dict[str, object], said: str
) -> None:
    before, after = roster(tenants={"acme": old}), roster(tenants={"acme": new})
    assert changes(before, after) == [f"acme: {said}"]


def test_an_entry_that_says_the_same_in_other_words_is_no_change() -> None:
    before = roster(tenants={"acme": {}})
    assert changes(before, roster(tenants={"acme": {"tier": "basic", "database": "main"}})) == []


def test_tenants_that_come_and_go_are_told() -> None:
    closed = {"database": "main", "enabled": False}
    before = roster(template=closed, tenants={"a": {}, "b": {"tier": "pro"}})
    after = roster(template=closed, tenants={"b": {"tier": "pro"}, "c": {"suspended": True}})
    assert changes(before, after) == [
        "c: new (basic, in main/tenant_c, suspended (the configuration says so))",
        "a: removed: only listed tenants are taken (template.enabled is false)",
    ]


def test_a_tenant_that_falls_to_the_template_is_told() -> None:
    before = roster(tenants={"acme": {"dbname": "a"}})
    assert changes(before, roster()) == [
        "acme: no longer listed; moves from main/a to main/tenant_acme"
    ]


def test_rows_and_overrides_are_told_as_entries_are() -> None:
    catalog = {"catalog": {"table": "t", "database": "main"}}
    before = roster(**catalog).with_listing(listing(("a", "pro"), ("b", "pro"), ("c", "pro")))
    after = before.with_listing(listing(("a", "basic"), ("b", "pro"), ("c", "pro")))
    override = Override("b", "basic", None, None, "ops", "", 0.0, "1")
    after = after.with_overrides(Overrides([override]))
    words = "pro → basic (cap 25 → 10, weight 3 → 1, min_size 5 → 2)"
    assert changes(before, after) == [f"b: {words}", f"a: {words}"]


def test_the_file_hides_what_changes_in_a_row() -> None:
    made = roster(catalog={"table": "t", "database": "main"}, tenants={"a": {}})
    before, after = made.with_listing(listing(("a", "pro"))), made.with_listing(listing())
    assert changes(before, after) == []


# -- what concerns many ------------------------------------------------------------------------


def test_a_tier_is_told_once_with_the_number_of_its_tenants() -> None:
    values = {
        "catalog": {"table": "t", "database": "main"},
        "tenants": {"a": {"tier": "pro"}, "b": {"tier": "pro"}, "c": {}},
    }
    rows = listing(("d", "pro"), ("e", None))
    before = roster(**values).with_listing(rows)
    tiers = {"pro": {"cap": 30, "enforce": {"rate": False}}, "gold": {"cap": 7}}
    after = roster(**values, tiers=tiers).with_listing(rows)
    assert changes(before, after, "a", "d", "unlisted") == [
        "tier pro: cap 25 → 30, enforce.rate true → false (3 tenants)",
        "tier gold: new (cap 7)",
    ]
    tiers["basic"] = {"max_lease": 60}
    assert changes(before, roster(**values, tiers=tiers).with_listing(rows), "unlisted")[0] == (
        "tier basic: max_lease null → 60 (3 tenants)"
    )


def test_the_default_tier_and_the_template_tell_how_many_they_concern() -> None:
    before = roster(tenants={"a": {}, "b": {"tier": "pro"}})
    after = roster(
        default_tier="pro",
        template={"database": "main", "dbname": "db_{tenant}", "settings": {"a.b": "geheim"}},
        tenants={"a": {}, "b": {"tier": "pro"}},
    )
    assert changes(before, after, "a", "x", "y") == [
        "default tier: basic → pro (3 tenants)",
        "template: dbname tenant_{tenant} → db_{tenant}, settings.a.b changed (2 tenants)",
    ]


def test_a_database_tells_what_changes_and_that_connections_are_renewed() -> None:
    changed = {
        "main": {"conninfo": "host=c user=app password=geheim2", "capacity": 30},
        "third": {"conninfo": "host=d", "capacity": 9},
    }
    assert changes(roster(), roster(databases=changed)) == [
        "main: conninfo changed (host a → c, connections are renewed), capacity 40 → 30",
        "second: removed",
        "third: new (capacity 9)",
    ]


def test_a_password_alone_is_said_to_change_and_not_shown() -> None:
    for one in (
        {"conninfo": "host=a user=app password=geheim2", "capacity": 40},
        {"conninfo": "host=a user=app password=geheim", "password": "geheim3", "capacity": 40},
    ):
        [line] = changes(roster(), roster(databases={**DATABASES, "main": one}))
        assert line in (
            "main: conninfo changed (connections are renewed)",
            "main: password changed (connections are renewed)",
        )


def test_what_the_catalog_puts_tenants_into_cannot_go() -> None:
    catalog = {"catalog": {"table": "t", "database": "main"}}
    rows = listing(("a", "gold", "second"), ("b", "gold"))
    before = roster(**catalog, tiers={"gold": {"cap": 3}}).with_listing(rows)
    after = roster(**catalog, databases={"main": DATABASES["main"]}).with_listing(rows)
    assert [str(error) for error in plan(before, after).refusals] == [
        "databases.second: is gone, but the catalog has 1 tenant in it; move them first",
        "tiers.gold: is gone, but the catalog has 2 tenants in it; move them first",
    ]


# -- restarts ----------------------------------------------------------------------------------


def test_what_needs_a_restart_is_refused_with_that_word() -> None:
    tls = {"certificate": __file__, "key": __file__}
    before = roster(service={"tls": tls})
    after = roster(
        service={
            "name": "other",
            "grpc_port": 1,
            "state": None,
            "lease_ttl": 20,
            "tls": {**tls, "key": pytest.__file__},
            "identities": {"w": {"token": "geheim-geheim-geheim", "tenants": ["*"]}},
        },
        close_grace=3,
    )
    made = plan(before, after)
    refused = ["name", "state", "grpc_port", "tls.key"]
    assert [error.place for error in made.refusals] == [f"service.{name}" for name in refused]
    assert all("needs a restart" in str(error) for error in made.refusals)
    assert [change.subject for change in made.changes if change.live] == [
        "service.lease_ttl",
        "service.identities.w",
        "close_grace",
    ]
    assert "service.grpc_port 7432 → 1 (needs a restart)" in made.lines()
    assert "geheim" not in str(made)


# -- many --------------------------------------------------------------------------------------


def many(tier: str) -> Roster:
    tenants = {f"tenant-{i}": {"tier": tier, "dbname": f"db_{i}"} for i in range(20_000)}
    return roster(tenants=tenants)


def test_a_plan_stays_short_and_cheap_however_many_tenants_change() -> None:
    before, after = many("pro"), many("basic")
    planner = Planner(before, after, [f"tenant-{i}" for i in range(20_000)])
    longest, last, started = 0.0, time.thread_time(), time.thread_time()
    for _ in planner.steps():
        longest, last = max(longest, time.thread_time() - last), time.thread_time()
    took = time.thread_time() - started
    lines = planner.plan().lines()
    assert (len(lines), lines[-1]) == (51, "... and 19,950 more tenants")
    assert took < 1.0
    assert longest < 0.1
