"""Where a tenant lives and what its sessions start with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from tenantpool.config import PoolSpec, Settings, Tier
from tenantpool.config.conninfo import startup_options
from tenantpool.core.limits import DatabaseLimits, TenantLimits
from tenantpool.errors import UnknownTenant


def settings(
    *, conninfo: str = "host=db user=app", password: str | None = None, **values: object
) -> Settings:
    return Settings(databases={"main": {"conninfo": conninfo, "password": password}}, **values)


def test_an_unlisted_tenant_has_a_database_of_its_name() -> None:
    spec = settings().tenant("acme")
    assert spec.pool == PoolSpec("main", "tenant_acme")
    assert (spec.session, spec.limits.tier) == ((), "basic")


def test_a_tenant_listed_only_for_its_tier_stays_where_the_template_puts_it() -> None:
    template = {"dbname": "shared", "schema": "t_{tenant}", "tier": "basic"}
    both = settings(template=template, tenants={"acme": {"tier": "pro"}})
    unlisted, listed = both.tenant("other"), both.tenant("acme")
    assert listed.pool == unlisted.pool
    assert listed.session == (("search_path", '"t_acme", public'),)
    assert listed.limits.tier == "pro"


def test_a_tenant_that_says_where_it_lives_is_taken_as_written() -> None:
    template = {"dbname": "db_{tenant}", "schema": "t_{tenant}"}
    tenants = {"acme": {"dbname": "own"}, "globex": {"user": "globex"}}
    made = settings(template=template, tenants=tenants)
    assert made.tenant("acme").pool == PoolSpec("main", "own")
    assert made.tenant("globex").pool == PoolSpec("main", "db_globex", user="globex")
    assert made.tenant("acme").session == ()


def test_a_tenant_without_a_tier_gets_the_default_tier_not_the_templates() -> None:
    made = settings(default_tier="pro", template={"tier": "basic"}, tenants={"acme": {}})
    assert made.tenant("acme").limits.tier == "pro"
    assert made.tenant("other").limits.tier == "basic"


def test_tenants_of_one_tier_share_one_object_of_limits() -> None:
    made = settings(tenants={"acme": {}})
    assert made.tenant("acme").limits is made.tenant("other").limits


def test_every_limit_of_the_core_comes_from_the_tier() -> None:
    tier = Tier(
        cap=2, min_size=1, guarantee=1, weight=2.5, overflow=3, overflow_idle=4, max_waiting=5,
        acquire_timeout=6, rate=7, burst=8, max_lease=9, max_idle=10, pool_idle=11,
        max_lifetime=12, leak_after=13, leak_revoke=True, reset="always",
    )  # fmt: skip
    assert tier.limits("gold") == TenantLimits(
        tier="gold", cap=2, min_size=1, guarantee=1, weight=2.5, overflow=3, overflow_idle=4,
        max_waiting=5, acquire_timeout=6, rate=7, burst=8, max_lease=9, max_idle=10, pool_idle=11,
        max_lifetime=12, leak_after=13, leak_revoke=True, reset_always=True,
    )  # fmt: skip


def test_defaults_are_those_of_the_core() -> None:
    assert Tier(cap=10).limits("basic") == TenantLimits(tier="basic", cap=10)
    assert settings().database_limits("main", 20) == DatabaseLimits(capacity=20)


def test_the_limits_of_a_database_come_from_its_section() -> None:
    database = {"conninfo": "", "connect_concurrency": 2, "breaker": {"failures": 9}}
    limits = Settings(databases={"main": database}).database_limits("main", 7)
    assert (limits.capacity, limits.connect_concurrency, limits.breaker.failures) == (7, 2, 9)
    assert limits.breaker.backoff == 0.1  # what is not written stays the database's default


TIMEOUTS = {"basic": {"statement_timeout": 30, "idle_in_transaction_session_timeout": 0.5}}


def test_a_plain_tenant_starts_with_the_timeouts_of_its_tier() -> None:
    spec = settings(tiers=TIMEOUTS).tenant("acme")
    assert spec.session == ()
    assert spec.pool.startup == (
        ("idle_in_transaction_session_timeout", "500ms"),
        ("statement_timeout", "30000ms"),
    )


def test_a_tenant_told_apart_gets_everything_at_checkout_and_its_role_last() -> None:
    tenant = {"schema": 'a"b', "role": "r", "settings": {"app.tenant": "acme"}, "dbname": "shared"}
    spec = settings(tiers=TIMEOUTS, tenants={"acme": tenant}).tenant("acme")
    assert spec.pool == PoolSpec("main", "shared", startup=())
    assert spec.session == (
        ("idle_in_transaction_session_timeout", "500ms"),
        ("statement_timeout", "30000ms"),
        ("app.tenant", "acme"),
        ("search_path", '"a""b", public'),
        ("role", "r"),
    )


def test_a_setting_of_the_tenant_replaces_that_of_its_tier() -> None:
    tenant = {"settings": {"statement_timeout": "1s"}}
    session = settings(tiers=TIMEOUTS, tenants={"acme": tenant}).tenant("acme").session
    assert [value for name, value in session if name == "statement_timeout"] == ["1s"]


def test_tenants_of_two_tiers_can_share_a_pool() -> None:
    tenants = {
        "a": {"dbname": "shared", "schema": "a"},
        "b": {"dbname": "shared", "role": "b", "tier": "pro"},
    }
    made = settings(tiers=TIMEOUTS, tenants=tenants)
    assert made.tenant("a").pool == made.tenant("b").pool


def test_numbers_and_switches_of_yaml_become_postgresql_text() -> None:
    tenant = {"settings": {"jit": False, "app.id": 42, "app.on": True}}
    session = settings(tenants={"acme": tenant}).tenant("acme").session
    assert session == (("jit", "off"), ("app.id", "42"), ("app.on", "on"))


def test_the_template_fills_in_every_value_by_plain_replacement() -> None:
    template = {
        "dbname": "d_{tenant}",
        "user": "u_{tenant}",
        "role": "r_{tenant}",
        "schema": "s_{tenant}",
        "settings": {"app.tenant": "{tenant}/{tenant}", "app.json": '{"a": {}}'},
    }
    spec = settings(template=template).tenant("x.y")
    assert spec.pool == PoolSpec("main", "d_x.y", user="u_x.y")
    assert dict(spec.session) == {
        "app.tenant": "x.y/x.y",
        "app.json": '{"a": {}}',
        "search_path": '"s_x.y", public',
        "role": "r_x.y",
    }


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "a\n", "a\0", "é", "x" * 64])
def test_a_name_that_does_not_match_the_pattern_is_an_unknown_tenant(name: str) -> None:
    with pytest.raises(UnknownTenant, match=r"does not match template\.pattern"):
        settings().tenant(name)


def test_an_unlisted_tenant_is_unknown_where_the_template_is_off() -> None:
    made = settings(template={"enabled": False}, tenants={"acme": {}})
    assert made.tenant("acme").pool.dbname == "tenant_acme"
    with pytest.raises(UnknownTenant, match="only listed tenants"):
        made.tenant("other")


def test_a_name_that_postgresql_would_cut_is_an_unknown_tenant() -> None:
    assert settings().tenant("x" * 56).pool.dbname == "tenant_" + "x" * 56
    with pytest.raises(UnknownTenant, match="dbname must not be longer than 63 bytes"):
        settings().tenant("x" * 57)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ({"role": "{tenant}"}, "none"),
        ({"role": "{tenant}"}, "pg_read_all_data"),
        ({"schema": "{tenant}"}, "public"),
        ({"schema": "{tenant}"}, "pg_catalog"),
        ({"dbname": "{tenant}"}, "postgres"),
        ({"user": "{tenant}"}, "postgres"),
    ],
)
def test_no_unlisted_tenant_reaches_what_postgresql_reserves(
    template: dict[str, str], name: str
) -> None:
    with pytest.raises(UnknownTenant, match="reserves"):
        settings(template=template).tenant(name)


def test_a_wide_pattern_lets_no_nul_through() -> None:
    with pytest.raises(UnknownTenant, match="NUL"):
        settings(template={"pattern": r"(?s).+"}).tenant("a\0b")


# Connection strings


def params(conninfo: str) -> dict[str, str]:
    return {key: str(value) for key, value in conninfo_to_dict(conninfo).items()}


def test_a_conninfo_is_completed_with_what_keeps_a_pool_alive() -> None:
    made = settings(password="geheim")
    assert params(made.conninfo(made.tenant("acme").pool)) == {
        "host": "db",
        "user": "app",
        "password": "geheim",
        "dbname": "tenant_acme",
        "application_name": "tenantpool",
        "connect_timeout": "5",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "60000",
    }


def test_what_the_conninfo_says_itself_stays() -> None:
    said = "application_name=x connect_timeout=9 keepalives_idle=1 keepalives_count=2"
    made = settings(conninfo=f"postgresql://app:geheim@db/other?{said.replace(' ', '&')}")
    result = params(made.conninfo(made.tenant("acme").pool))
    assert result.items() >= params(said).items()
    assert (result["dbname"], result["password"]) == ("tenant_acme", "geheim")


def test_a_pool_without_a_dbname_is_in_that_of_the_conninfo() -> None:
    made = settings(conninfo="host=db dbname=admin")
    assert params(made.conninfo(PoolSpec("main", "")))["dbname"] == "admin"


@pytest.mark.parametrize(("seconds", "written"), [(0.1, "2"), (2.1, "3"), (7, "7")])
def test_a_connect_timeout_is_rounded_up_to_what_libpq_keeps(seconds: float, written: str) -> None:
    made = Settings(databases={"main": {"conninfo": "", "connect_timeout": seconds}})
    assert params(made.conninfo(PoolSpec("main", "x")))["connect_timeout"] == written


def test_a_login_role_of_its_own_never_gets_the_password_of_another() -> None:
    tenants = {"a": {"user": "a", "password": "geheim-a"}, "b": {"user": "b"}}
    made = settings(conninfo="host=db password=geheim", password="geheim", tenants=tenants)
    a, b = (params(made.conninfo(made.tenant(name).pool)) for name in "ab")
    assert (a["user"], a["password"]) == ("a", "geheim-a")
    assert b["user"] == "b"
    assert "password" not in b


def test_startup_settings_come_after_the_options_of_the_conninfo() -> None:
    made = settings(conninfo="options='-c jit=off'")
    pool = PoolSpec("main", "x", startup=(("work_mem", "64 MB"),))
    assert params(made.conninfo(pool))["options"] == r"-c jit=off -c work_mem=64\ MB"


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,20}", fullmatch=True)


def split_as_the_server_does(options: str) -> list[str]:
    """pg_split_opts() of PostgreSQL: ASCII white space separates, a backslash keeps the next."""
    words: list[str] = []
    rest = options
    while rest := rest.lstrip(" \t\n\v\f\r"):
        word = ""
        while rest and rest[0] not in " \t\n\v\f\r":
            kept = rest[1:2] if rest[0] == "\\" else rest[0]
            word, rest = word + kept, rest[2 if rest[0] == "\\" else 1 :]
        words.append(word)
    return words


@given(st.lists(st.tuples(names, text)))
def test_the_server_reads_startup_options_as_they_were_meant(pairs: list[tuple[str, str]]) -> None:
    words = split_as_the_server_does(startup_options(pairs))
    assert words == [word for name, value in pairs for word in ("-c", f"{name}={value}")]


@given(dbname=text.filter(bool), user=text.filter(bool), value=text, password=text)
def test_libpq_reads_every_value_as_it_was_meant(
    dbname: str, user: str, value: str, password: str
) -> None:
    made = settings(conninfo="host=db", password=password)
    result = params(made.conninfo(PoolSpec("main", dbname, None, (("app.x", value),))))
    assert (result["dbname"], result["host"]) == (dbname, "db")
    assert result["password"] == password
    assert split_as_the_server_does(result["options"]) == ["-c", f"app.x={value}"]
    assert params(made.conninfo(PoolSpec("main", dbname, user)))["user"] == user


@given(st.text(min_size=1).filter(lambda name: len(name.encode("utf-8", "replace")) < 50))
def test_any_name_is_resolved_to_itself_or_refused(name: str) -> None:
    template = {"schema": "{tenant}", "dbname": "shared", "pattern": r"(?s).*"}
    made = settings(template=template)
    try:
        spec = made.tenant(name)
    except UnknownTenant:
        return
    quoted = dict(spec.session)["search_path"].removesuffix(", public")
    assert quoted[0] == quoted[-1] == '"'
    assert quoted[1:-1].replace('""', "\0").count('"') == 0
    assert quoted[1:-1].replace('""', '"') == name
