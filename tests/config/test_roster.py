"""Who is a tenant, and which of settings, catalog and overrides says what it gets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tenantpool.config import Listing, Override, Overrides, Roster, Settings
from tenantpool.config.copytext import encode
from tenantpool.errors import ConfigError, UnknownTenant

COLUMNS = ("id", "tier", "database", "dbname", "suspended")


def settings(**values: object) -> Settings:
    databases = {"main": {"conninfo": "host=db password=geheim"}}
    return Settings(**{"databases": databases, "catalog": {"table": "tenants"}, **values})


def listing(*rows: tuple[str | None, ...]) -> Listing:
    return Listing.build(COLUMNS, [encode(row + (None,) * (5 - len(row))) + b"\n" for row in rows])


def override(tenant: str, *, tier: str | None = None, suspended: bool | None = None) -> Override:
    return Override(tenant, tier, suspended, None, "ops", "why not", 0.0, f"{tenant}-{tier}")


ROWS = listing(("acme", "pro"), ("globex", "enterprise", None, "own"), ("odd", "pro", None, ""))


def test_the_file_wins_over_the_catalog_and_this_over_the_template() -> None:
    roster = Roster(settings(tenants={"acme": {"tier": "enterprise"}}), ROWS)
    tiers = {name: roster.tenant(name).limits.tier for name in ("acme", "globex", "other")}
    assert tiers == {"acme": "enterprise", "globex": "enterprise", "other": "basic"}
    assert roster.tenant("globex").pool.dbname == "own"
    assert Roster(settings(), ROWS).tenant("acme").pool.dbname == "tenant_acme"


def test_an_override_wins_over_all() -> None:
    made = Roster(settings(tenants={"acme": {"tier": "pro"}}), ROWS)
    overrides = Overrides.NONE
    for name in ("acme", "globex", "other"):
        overrides = overrides.add(override(name, tier="enterprise"))
    roster = made.with_overrides(overrides)
    assert {roster.tenant(name).limits.tier for name in overrides.tenants} == {"enterprise"}


def test_an_override_to_a_tier_that_is_gone_changes_nothing() -> None:
    overrides = Overrides([override("acme", tier="gold")])
    assert Roster(settings(), ROWS, overrides).tenant("acme").limits.tier == "pro"


def test_a_tenant_is_suspended_by_file_catalog_or_operator() -> None:
    rows = listing(("row", None, None, None, "true"))
    roster = Roster(settings(tenants={"file": {"suspended": True}}), rows)
    assert roster.tenant("file").suspended == "the configuration says so"
    assert roster.settings.tenant("file").suspended == "the configuration says so"
    assert roster.tenant("row").suspended == "the catalog says so"
    assert roster.tenant("other").suspended == ""
    by_hand = roster.with_overrides(
        Overrides([override("row", suspended=False), override("other", suspended=True)])
    )
    assert by_hand.tenant("row").suspended == ""
    assert by_hand.tenant("other").suspended == "override other-None by ops: why not"


def test_a_tenant_listed_only_for_a_suspension_stays_where_the_template_puts_it() -> None:
    template = {"dbname": "shared", "schema": "{tenant}"}
    made = settings(catalog=None, template=template, tenants={"acme": {"suspended": True}})
    assert made.tenant("acme").pool == made.tenant("other").pool
    assert made.tenant("acme").suspended


def test_before_the_catalog_has_been_read_nobody_is_taken_for_unlisted() -> None:
    roster = Roster(settings(tenants={"acme": {}}))
    assert not roster.known
    assert roster.tenant("acme").name == "acme"
    with pytest.raises(UnknownTenant, match="the catalog has not been read yet"):
        roster.tenant("other")
    assert roster.with_listing(listing()).known
    assert roster.with_listing(listing()).tenant("other").name == "other"


def test_without_a_catalog_its_listing_counts_no_more() -> None:
    roster = Roster(settings(), ROWS).with_settings(settings(catalog=None))
    assert roster.known
    assert roster.tenant("acme").limits.tier == "basic"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("t", "pro", None, ""), "its row in the catalog is wrong: dbname String should have"),
        (("t", "gold"), "there is no tier gold"),
        (("t", "pro", "second"), "there is no database second"),
        (("x" * 57, "pro"), "the template gives it no place: dbname must not be longer"),
    ],
)
def test_a_tenant_whose_row_makes_no_sense_is_refused(row: tuple[str, ...], said: str) -> None:
    with pytest.raises(UnknownTenant, match=said):
        Roster(settings(), listing(row)).tenant(row[0])


def test_a_tenant_of_the_catalog_needs_no_template() -> None:
    roster = Roster(settings(template={"enabled": False}), ROWS)
    assert roster.tenant("acme").pool.dbname == "tenant_acme"
    with pytest.raises(UnknownTenant, match="only listed tenants"):
        roster.tenant("other")
    assert [roster.lists(name) for name in ("acme", "other")] == [True, False]


def test_guarantees_by_overrides_count_too() -> None:
    tiers = {"pro": {"guarantee": 2}, "enterprise": {"guarantee": 6}}
    made = Roster(settings(catalog=None, tiers=tiers, tenants={"acme": {"tier": "pro"}}))
    made.check_capacity("main", 2)
    roster = made.with_overrides(Overrides([override("acme", tier="enterprise")]))
    roster.check_capacity("main", 6)
    with pytest.raises(ConfigError, match="guarantees, 6 in all, 4 of them by overrides"):
        roster.check_capacity("main", 5)
    lower = made.with_overrides(Overrides([override("acme", tier="basic")]))
    assert lower.promised("main") == 2, "the override will end, and the guarantee come back"
    suspended = made.with_overrides(Overrides([override("acme", suspended=True)]))
    suspended.check_capacity("main", 2)


def test_guarantees_of_the_catalog_count_too() -> None:
    made = settings(
        template={"enabled": False},
        tiers={"pro": {"guarantee": 6}},
        tenants={"file": {"tier": "pro"}},
    )
    roster = Roster(made, listing(("a", "pro"), ("b", "basic"), ("c", "pro", "main")))
    roster.check_capacity("main", 18)
    with pytest.raises(ConfigError, match=r"^databases\.main\.capacity: 17 is less than .* 18"):
        roster.check_capacity("main", 17)


def test_what_is_printed_holds_no_secret() -> None:
    assert "geheim" not in repr(Roster(settings(), ROWS))


# -- digest ------------------------------------------------------------------------------------


def test_the_digest_stays_where_the_configuration_does() -> None:
    assert settings().digest == settings().digest
    assert Roster(settings(), ROWS).digest == Roster(settings()).digest == settings().digest


@pytest.mark.parametrize(
    "values",
    [
        {"default_tier": "pro"},
        {"tiers": {"pro": {"enforce": {"rate": False}}}},
        {"tenants": {"acme": {}}},
        {"service": {"listen": ["127.0.0.1", "::1"]}},
        {"catalog": None},
        {"databases": {"main": {"conninfo": "host=other password=geheim"}}},
    ],
)
def test_any_other_value_has_another_digest(values: dict[str, object]) -> None:
    assert settings(**values).digest[:24] != settings().digest[:24]


@pytest.mark.parametrize(
    "values",
    [
        {"databases": {"main": {"conninfo": "host=db password=anders"}}},
        {"databases": {"main": {"conninfo": "host=db password=geheim", "password": "x"}}},
        {"tenants": {"acme": {"dbname": "a", "user": "a", "password": "x"}}},
        {"service": {"identities": {"w": {"token": "x" * 16, "tenants": ["*"]}}}},
    ],
)
def test_another_secret_changes_only_the_end_of_the_digest(values: dict[str, object]) -> None:
    def with_secret(secret: str) -> str:
        text = repr(values).replace("'x'", f"'{secret}'").replace("x" * 16, secret * 16)
        return settings(**eval(text)).digest

    first, second = with_secret("x"), with_secret("y")
    if "anders" in repr(values):
        second = settings().digest
    assert first[:24] == second[:24]
    assert first[24:] != second[24:]


def test_nobody_can_try_passwords_against_a_digest() -> None:
    """The end of it is another one in every process."""
    code = (
        "from tenantpool.config import Settings;"
        "print(Settings(databases={'main': {'conninfo': 'password=geheim'}}).digest)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    first, second = (run.stdout.strip() for run in runs)
    assert (first[:24], len(first)) == (second[:24], 32)
    assert first[24:] != second[24:]
