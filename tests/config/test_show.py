"""What is shown of a configuration, and that it is never a secret."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr, TypeAdapter

from tenantpool.config import (
    Breaker,
    Catalog,
    Database,
    DatabaseBreaker,
    Enforce,
    Settings,
    Template,
    Tenant,
    Tier,
    effective_yaml,
)
from tenantpool.config.conninfo import hide_conninfo

from .conftest import MAIN, Load

EXAMPLE = Path(__file__).parents[2] / "config" / "tenantpool.yaml"


def secretive() -> Settings:
    return Settings(
        databases={
            "url": {"conninfo": "postgresql://app:geheim@db/x?sslpassword=geheim"},
            "plain": {"conninfo": "host=db password=geheim", "password": "geheim"},
        },
        tenants={"acme": {"database": "url", "user": "acme", "password": "geheim"}},
        template={"database": "plain"},
    )


def test_nothing_that_can_be_printed_holds_a_secret() -> None:
    made = secretive()
    shown = [repr(made), str(made), effective_yaml(made), repr(made.databases), repr(made.tenants)]
    shown += [repr(made.model_dump()), made.model_dump_json()]
    assert not any("geheim" in text for text in shown)


def test_hidden_passwords_show_that_there_is_one() -> None:
    shown = yaml.safe_load(effective_yaml(secretive()))
    assert "password=***" in shown["databases"]["url"]["conninfo"]
    assert "sslpassword=***" in shown["databases"]["url"]["conninfo"]
    assert shown["databases"]["url"]["password"] is None
    assert shown["databases"]["plain"]["password"] == "***"
    assert shown["tenants"]["acme"] == {"database": "url", "user": "acme", "password": "***"}


def test_the_catalog_is_shown_without_its_password() -> None:
    made = Settings(
        databases={"main": {"conninfo": ""}},
        catalog={"table": "tenants", "user": "reader", "password": "geheim"},
    )
    shown = yaml.safe_load(effective_yaml(made))["catalog"]
    assert (shown["table"], shown["password"], shown["interval"]) == ("tenants", "***", 60)


def test_a_conninfo_without_a_secret_is_shown_whole() -> None:
    assert hide_conninfo("host=db port=1") == "host=db port=1"


def test_the_repr_is_short() -> None:
    assert repr(secretive()) == "<Settings databases=2 tiers=3 tenants=1 template=on>"
    off = Settings(databases={"main": {"conninfo": ""}}, template={"enabled": False})
    assert str(off) == "<Settings databases=1 tiers=3 tenants=0 template=off>"


def test_the_effective_configuration_is_one_itself(load: Load) -> None:
    first = Settings.load(EXAMPLE, environ={})
    shown = effective_yaml(first)
    assert effective_yaml(load(shown)) == shown


def test_the_example_shows_every_way_to_tell_tenants_apart() -> None:
    example = Settings.load(EXAMPLE, environ={})
    sessions = {name: dict(example.tenant(name).session) for name in example.tenants}
    assert sessions == {
        "acme": {},
        "globex": {},
        "initech": {"search_path": '"initech", public'},
        "hooli": {"role": "hooli"},
        "umbrella": {"app.tenant": "umbrella"},
    }
    assert example.tenant("globex").pool.dbname == "tenant_globex"
    shared = {example.tenant(name).pool for name in ("initech", "hooli", "umbrella")}
    assert len(shared) == 1


@pytest.mark.parametrize(
    "model", [Settings, Database, Tier, Breaker, DatabaseBreaker, Enforce, Catalog]
)
def test_every_field_of_a_model_is_described(model: type[Settings]) -> None:
    for name, field in model.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize("section", [Tenant, Template])
def test_every_field_of_a_tenant_is_described(section: type[Tenant]) -> None:
    for name, field in TypeAdapter(section).json_schema()["properties"].items():
        assert field.get("description"), name


@pytest.mark.parametrize("model", [Settings, Database, Tier, Breaker, Catalog])
def test_every_duration_names_its_unit(model: type[Settings]) -> None:
    endings = ("timeout", "_idle", "_grace", "interval", "lifetime", "_after", "_lease", "_age")
    for name, field in model.model_fields.items():
        if name.endswith(endings):
            assert "seconds" in (field.description or ""), name


def test_the_models_have_a_json_schema_for_editors() -> None:
    schema = json.dumps(Settings.model_json_schema())
    assert "Connections a tenant can always get back" in schema


def test_settings_cannot_be_changed() -> None:
    made = secretive()
    with pytest.raises(ValueError, match="frozen"):
        made.close_grace = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        made.databases["url"].password = SecretStr("x")  # type: ignore[misc]


def test_a_tenant_that_is_only_configured_costs_less_than_a_kilobyte(load: Load) -> None:
    tenant = "{{tier: pro, dbname: customer_{0}, settings: {{app.tenant: 'tenant-{0}'}}}}"
    lines = [f"  tenant-{i:05}: {tenant.format(i)}\n" for i in range(2000)]
    text = MAIN + "tenants:\n" + "".join(lines)
    load(text)
    tracemalloc.start()
    try:
        kept = load(text)
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(kept.tenants) == 2000
    assert used / 2000 < 1024
