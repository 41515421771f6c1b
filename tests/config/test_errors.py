"""Every mistake is refused before anything opens, at its exact place and without any secret."""

from __future__ import annotations

import traceback

import pytest

from tenantpool.config import Settings
from tenantpool.errors import ConfigError, ConfigErrors

from .conftest import MAIN, Complaints, Load


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("tier: {}", "t.yaml:4: tier: unknown key; did you mean tiers?"),
        ("tiers: {pro: {capp: 3}}", "t.yaml:4: tiers.pro.capp: unknown key; did you mean cap?"),
        (
            "tenants:\n  acme:\n    teir: pro",
            "t.yaml:6: tenants.acme.teir: unknown key; did you mean tier?",
        ),
        ("template: {enable: no}", "t.yaml:4: template.enable: unknown key; did you mean enabled?"),
        ("tiers:\n  gold: {weight: 2}", "t.yaml:5: tiers.gold.cap: is missing"),
        (
            "tenants:\n  acme: {tier: por}",
            "t.yaml:5: tenants.acme.tier: there is no tier por; did you mean pro?",
        ),
        (
            "tenants:\n  acme: {database: mian}",
            "t.yaml:5: tenants.acme.database: there is no database mian; did you mean main?",
        ),
        ("default_tier: prp", "t.yaml:4: default_tier: there is no tier prp; did you mean pro?"),
        (
            "template: {tier: xyzzy}",
            "t.yaml:4: template.tier: there is no tier xyzzy; known: basic, enterprise, pro",
        ),
        ("template: {enabled: false, database: x}", "t.yaml:4: template.database: there is no"),
        (
            "tiers: {basic: {cap: 1}}",
            "t.yaml:4: tiers.basic.min_size: 2 is more than cap 1 + overflow 0; write 1 or less",
        ),
        (
            "template: {enabled: false}\ntiers: {basic: {guarantee: 11}}",
            "t.yaml:5: tiers.basic.guarantee: 11 is more than cap 10; write 10 or less",
        ),
        (
            "tiers: {basic: {guarantee: 1}}",
            "t.yaml:4: tiers.basic.guarantee: cannot be kept: the template takes any number",
        ),
        (
            "tiers: {basic: {leak_revoke: true}}",
            "t.yaml:4: tiers.basic.leak_revoke: does nothing alone; set leak_after too",
        ),
        (
            "tiers: {basic: {breaker: {backoff: 60}}}",
            "t.yaml:4: tiers.basic.breaker.backoff: 60 is more than backoff_max 30",
        ),
        ("tenants: {acme: {role: none}}", "t.yaml:4: tenants.acme.role: must not be none"),
        ("tenants: {acme: {schema: $user}}", "t.yaml:4: tenants.acme.schema: must not be $user"),
        ("tenants: {acme: {dbname: ''}}", "t.yaml:4: tenants.acme.dbname: String should have at"),
        ('tenants: {acme: {dbname: "a\\0"}}', "t.yaml:4: tenants.acme.dbname: must not contain"),
        ('tenants: {"a\\0": {}}', "t.yaml:4: tenants.a\0: must not contain a NUL"),
        (f"tenants: {{acme: {{user: {'x' * 64}}}}}", "t.yaml:4: tenants.acme.user: must not be"),
        (f"tenants: {{{'x' * 57}: }}", f"t.yaml:4: tenants.{'x' * 57}: the template gives it no"),
        ("tenants: {acme: {password: x}}", "t.yaml:4: tenants.acme.password: belongs to no user"),
        ("tenants: {acme: {settings: {1a: x}}}", "t.yaml:4: tenants.acme.settings.1a: must be"),
        ("tenants: {acme: {settings: {Role: x}}}", "t.yaml:4: tenants.acme.settings.Role: cannot"),
        ('tenants: {acme: {settings: {a: "\\0"}}}', "t.yaml:4: tenants.acme.settings.a: must not"),
        (
            "tenants: {acme: {schema: a, settings: {search_path: b}}}",
            "t.yaml:4: tenants.acme.settings: sets search_path, and so does schema",
        ),
        ("template: {pattern: '('}", "t.yaml:4: template.pattern: is not a regular expression"),
        ("template: {schema: '{name}'}", "t.yaml:4: template.schema: only {tenant} is filled in"),
        ("template: {dbname: app}", "t.yaml:4: template: nothing tells its tenants apart"),
        ("tenants: [acme]", "t.yaml:4: tenants: must be a section with keys of its own"),
        ("sweep_interval: 301", "t.yaml:4: sweep_interval: should be less than or equal to 300"),
    ],
)
def test_a_mistake_is_named_at_its_line(complaints: Complaints, more: str, said: str) -> None:
    lines = complaints(more)
    assert len(lines) == 1
    assert lines[0].startswith(said)


@pytest.mark.parametrize("capacity", ["0", "-1", "2.5", "yes", "many", "null"])
def test_a_capacity_is_a_whole_number_or_auto(load: Load, capacity: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^t\.yaml:4: databases\.main\.capacity: must be a whole"
    ):
        load(MAIN + f"    capacity: {capacity}\n")


@pytest.mark.parametrize(
    "field",
    [
        "acquire_timeout",
        "max_lease",
        "max_idle",
        "pool_idle",
        "max_lifetime",
        "leak_after",
        "overflow_idle",
        "statement_timeout",
        "idle_in_transaction_session_timeout",
        "rate",
        "weight",
    ],
)
@pytest.mark.parametrize("value", ["0", "-1", ".inf", ".nan", "true"])
def test_zero_and_for_ever_are_no_durations(complaints: Complaints, field: str, value: str) -> None:
    (line,) = complaints(f"tiers: {{basic: {{{field}: {value}}}}}")
    assert line.startswith(f"t.yaml:4: tiers.basic.{field}: ")


def test_a_queue_without_room_is_refused_since_nobody_could_wait_for_a_connect(
    complaints: Complaints,
) -> None:
    (line,) = complaints(tiers={"pro": {"max_waiting": 0}})
    assert "tiers.pro.max_waiting" in line


def test_a_server_timeout_that_would_round_to_zero_is_refused(complaints: Complaints) -> None:
    (line,) = complaints("tiers: {basic: {statement_timeout: 0.0004}}")
    assert "tiers.basic.statement_timeout: should be greater than or equal to 0.001" in line


def test_guarantees_must_fit_into_the_capacity_of_their_database(load: Load) -> None:
    def text(capacity: int) -> str:
        return f"""
databases:
  one: {{conninfo: "", capacity: {capacity}}}
  two: {{conninfo: "", capacity: 1}}
tiers: {{pro: {{guarantee: 6}}}}
template: {{database: one}}
tenants: {{a: {{tier: pro}}, b: {{tier: pro, database: one}}, c: {{database: two}}}}
"""

    load(text(12))
    with pytest.raises(ConfigError) as caught:
        load(text(11))
    assert str(caught.value) == (
        "t.yaml:3: databases.one.capacity: 11 is less than its tenants' guarantees, 12 in all; "
        "lower them, or raise it"
    )


def test_a_capacity_found_out_later_is_checked_against_the_guarantees(load: Load) -> None:
    made = load(MAIN + "tiers: {pro: {guarantee: 6}}\ntenants: {a: {tier: pro}, b: {tier: pro}}\n")
    made.check_capacity("main", 12)
    with pytest.raises(
        ConfigError, match=r"^databases\.main\.capacity: 11 is less than .* 12 in all"
    ):
        made.check_capacity("main", 11)


def test_a_guarantee_is_fine_where_the_template_is_off(load: Load) -> None:
    load(MAIN + "template: {enabled: false}\ntiers: {basic: {guarantee: 1}}\n")


def test_a_tenant_of_several_databases_must_name_one(load: Load) -> None:
    text = "databases: {one: {conninfo: ''}, two: {conninfo: ''}}\n"
    with pytest.raises(ConfigErrors) as caught:
        load(text + "tenants:\n  acme:\n")
    assert [str(error) for error in caught.value.errors] == [
        "t.yaml:3: tenants.acme.database: is missing: there are several databases; one of one, two",
        "t.yaml:1: template.database: is missing: there are several databases; one of one, two",
    ]
    load(text + "tenants: {acme: {database: two}}\ntemplate: {database: one}\n")
    load(text + "tenants: {acme: {database: two}}\ntemplate: {enabled: false}\n")


def test_a_login_role_has_one_password(complaints: Complaints) -> None:
    tenant = "{{user: app, password: {}}}".format
    (line,) = complaints(f"tenants: {{a: {tenant('geheim1')}, b: {tenant('geheim2')}}}")
    assert line.startswith("t.yaml:4: tenants.b.password: differs from the one that tenants.a")
    assert "geheim" not in line


def test_several_mistakes_are_all_listed_and_count_as_the_first(load: Load) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(MAIN + "tiers:\n  basic:\n    cap: ten\n    reset: never\n")
    assert str(caught.value).splitlines() == [
        "t.yaml:6: tiers.basic.cap: should be a valid integer, unable to parse string as an "
        "integer, not 'ten'",
        "t.yaml:7: tiers.basic.reset: should be 'switch' or 'always', not 'never'",
    ]
    assert caught.value.place == "t.yaml:6: tiers.basic.cap"


def test_thousands_of_mistakes_are_counted_and_the_first_are_shown(load: Load) -> None:
    lines = "".join(f"  t{i}: {{tier: x}}\n" for i in range(2000))
    with pytest.raises(ConfigErrors) as caught:
        load(MAIN + "tenants:\n" + lines)
    assert caught.value.errors[-1].place == "t.yaml:2004: tenants.t1999.tier"
    shown = str(caught.value).splitlines()
    assert (len(shown), shown[-1]) == (51, "... and 1950 more")


def test_a_mistake_of_the_environment_is_placed_there(complaints: Complaints) -> None:
    (line,) = complaints("tiers: {pro: {cap: 9}}", environ={"TENANTPOOL_TIERS__PRO__CAP": "0"})
    assert line.startswith("environment TENANTPOOL_TIERS__PRO__CAP: should be greater than")


def test_what_an_environment_name_leaves_missing_is_placed_there(complaints: Complaints) -> None:
    assert complaints(environ={"TENANTPOOL_TIERS__GOLD__WEIGHT": "4"}) == [
        "environment TENANTPOOL_TIERS__GOLD__WEIGHT: tiers.gold.cap: is missing"
    ]


def test_a_mistake_in_an_argument_is_placed_there(complaints: Complaints) -> None:
    (line,) = complaints(tiers={"pro": {"cap": 0}})
    assert line.startswith("argument tiers.pro.cap: ")
    with pytest.raises(ConfigError, match=r"^argument databases: is missing$"):
        Settings()


def test_private_arguments_of_the_library_are_no_keys(complaints: Complaints) -> None:
    assert complaints("_secrets_dir: /")[0].startswith("t.yaml:4: _secrets_dir: unknown key")


@pytest.mark.parametrize(
    ("conninfo", "said"),
    [
        ("hostt=x", "invalid connection option ... (did you mean host?)"),
        ("host=x password=my geheim", "missing = after ..."),
        ("host=x password='geheim", "unterminated quoted string in connection info string"),
        ('host=x a"geheim"b', "missing = after ..."),
        ("postgresql://app:geheim@db/%zz", "invalid percent-encoded token"),
        ("host=x connect_timeout=0", "connect_timeout must be a number of seconds above 0"),
    ],
)
def test_a_wrong_conninfo_is_explained_without_showing_it(
    load: Load, conninfo: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, databases={"main": {"conninfo": conninfo}})
    assert caught.value.problem.startswith(said)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "databases",
    [
        "postgresql://app:geheim@db",
        {"main": "postgresql://app:geheim@db"},
        {"main": ["geheim"]},
        {"main": {"conninfo": ["geheim"]}},
        {"main": {"conninfo": "", "password": ["geheim"]}},
        {"main": {"conninfo": "", "password": "geheim\0"}},
        {"main": {"conninfo": "", "password": "geheim", "capacity": 0}},
        {"main": {"conninfo": "password=geheim", "capacity": 0}},
    ],
)
def test_no_error_shows_a_secret(databases: object) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings(databases=databases)
    assert "geheim" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("secret", ["4711", "4711.5"])
def test_a_password_of_digits_must_be_quoted_and_is_not_shown(load: Load, secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(MAIN + f"    password: {secret}\n")
    assert str(caught.value) == (
        "t.yaml:4: databases.main.password: must be text; put it into quotes"
    )
