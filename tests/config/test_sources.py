"""Which source wins, and that no source says anything unheard."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.config import Settings
from tenantpool.config.yamlfile import YamlFile
from tenantpool.errors import ConfigError, ConfigErrors

from .conftest import MAIN, Complaints, Load


def test_a_value_of_the_file_is_used(load: Load) -> None:
    assert load(MAIN + "close_grace: 3\n").close_grace == 3


def test_file_then_secrets_then_environment_then_arguments(load: Load) -> None:
    file = MAIN + "    password: from-file\n"
    secrets = {"databases__main__password": "from-secret\n"}
    environ = {"TENANTPOOL_DATABASES__MAIN__PASSWORD": "from-environment"}
    argument = {"main": {"password": "from-argument"}}

    def password(settings: Settings) -> str:
        secret = settings.databases["main"].password
        assert secret is not None
        return secret.get_secret_value()

    assert password(load(file)) == "from-file"
    assert password(load(file, secrets=secrets)) == "from-secret"
    assert password(load(file, secrets=secrets, environ=environ)) == "from-environment"
    settings = load(file, secrets=secrets, environ=environ, databases=argument)
    assert password(settings) == "from-argument"


def test_sources_are_merged_field_by_field(load: Load) -> None:
    settings = load(
        MAIN + "tiers: {gold: {cap: 7}}\n", environ={"TENANTPOOL_TIERS__GOLD__WEIGHT": "4"}
    )
    assert (settings.tiers["gold"].cap, settings.tiers["gold"].weight) == (7, 4)


def test_the_default_tiers_stay_where_the_file_says_nothing(load: Load) -> None:
    tiers = load(MAIN + "tiers: {basic: {cap: 8}, gold: {cap: 7}}\n").tiers
    assert list(tiers) == ["basic", "pro", "enterprise", "gold"]
    assert [(t.min_size, t.cap, t.weight) for t in tiers.values()] == [
        (2, 8, 1),
        (5, 25, 3),
        (10, 50, 10),
        (0, 7, 1),
    ]


def test_names_of_the_environment_ignore_case(load: Load) -> None:
    settings = load(
        MAIN + "tiers: {Gold: {cap: 7}}\n", environ={"tenantpool_Tiers__GOLD__Weight": "4"}
    )
    assert settings.tiers["Gold"].weight == 4


def test_arguments_keep_their_case(load: Load) -> None:
    settings = load(MAIN + "tenants: {acme: }\n", tenants={"Acme": {"tier": "pro"}})
    assert [settings.tenant(name).limits.tier for name in ("acme", "Acme")] == ["basic", "pro"]


def test_a_section_in_the_environment_may_be_json(load: Load) -> None:
    environ = {
        "TENANTPOOL_TENANTS": '{"Acme": {"tier": "pro"}}',
        "TENANTPOOL_TENANTS__B__TIER": "pro",
    }
    assert set(load(environ=environ).tenants) == {"Acme", "b"}


def test_null_in_the_environment_is_no_limit(load: Load) -> None:
    file = MAIN + "tiers: {basic: {max_lease: 5}}\n"
    settings = load(file, environ={"TENANTPOOL_TIERS__BASIC__MAX_LEASE": "null"})
    assert settings.tiers["basic"].max_lease is None


def test_without_a_file_the_environment_is_enough(load: Load) -> None:
    settings = load(None, environ={"TENANTPOOL_DATABASES__MAIN__CONNINFO": "host=db"})
    assert list(settings.databases) == ["main"]


def test_the_environment_names_the_file_and_the_secrets_folder(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(MAIN)
    (tmp_path / "databases__main__password").write_text("geheim")
    environ = {
        "TENANTPOOL_CONFIG": str(tmp_path / "t.yaml"),
        "TENANTPOOL_SECRETS_DIR": str(tmp_path),
    }
    settings = Settings.load(environ=environ)
    assert "password=geheim" in settings.conninfo(settings.tenant("acme").pool)


def test_what_the_client_is_told_is_no_setting(load: Load) -> None:
    environ = {"TENANTPOOL_TARGET": "unix:/run/tenantpool", "TENANTPOOL_TOKEN": "geheim"}
    assert "geheim" not in repr(load(MAIN, environ=environ))


def test_how_the_gateway_relays_is_no_setting(load: Load) -> None:
    assert repr(load(MAIN, environ={"TENANTPOOL_PURE_PYTHON": "1"})) == repr(load(MAIN))


def test_explicit_settings_read_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTPOOL_CLOSE_GRACE", "3")
    assert Settings(databases={"main": {"conninfo": ""}}).close_grace == 10


def test_load_reads_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANTPOOL_CLOSE_GRACE", "3")
    assert Settings.load(databases={"main": {"conninfo": ""}}).close_grace == 3


def test_keys_are_text_whatever_yaml_makes_of_them(load: Load) -> None:
    assert list(load(MAIN + "tenants: {no: {}, 42: {}, 1.0: }\n").tenants) == ["no", "42", "1.0"]


def test_anchors_and_merge_keys_work(load: Load) -> None:
    text = MAIN + "tenants: {a: &a {tier: pro, schema: a}, b: {<<: *a, schema: b}}\n"
    assert [t.schema for t in load(text).tenants.values()] == ["a", "b"]


def test_a_section_that_holds_itself_is_an_error(complaints: Complaints) -> None:
    assert complaints("tenants: &a {acme: *a}") == ["t.yaml:4: there is no anchor a above"]


def test_of_several_merged_sections_the_first_wins_and_what_is_written_wins_over_all(
    load: Load,
) -> None:
    text = """tenants:
  a: &a {tier: pro, schema: a}
  b: &b {tier: basic, schema: b, role: b}
  c: {<<: [*a, *b], schema: c}
  "<<": {tier: pro}
"""
    made = load(MAIN + text).tenants
    assert (made["c"].tier, made["c"].schema, made["c"].role) == ("pro", "c", "b")
    assert made["<<"].tier == "pro"


scalars = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
sections = st.dictionaries(
    st.text(min_size=1),
    st.recursive(scalars, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=20),
    min_size=1,
)


@given(sections, st.sampled_from([None, True, False]))
def test_a_file_is_read_as_yaml_means_it(values: dict[str, object], flow: bool | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.yaml")
        text = yaml.safe_dump(values, default_flow_style=flow, allow_unicode=True)
        path.write_text(text, encoding="utf-8")
        assert YamlFile(path).values == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "t.yaml: the file is empty; databases: is needed at least"),
        ("# nothing\n", "t.yaml: the file is empty; databases: is needed at least"),
        ("- a\n", "t.yaml:1: is not a mapping; write databases: first"),
        (
            "a:\n  b: c: d\n",
            "t.yaml:2: is not YAML: mapping values are not allowed in this context",
        ),
        ("? [a]\n: b\n", "t.yaml:1: a key must be a name"),
        (MAIN + "    conninfo: ''\n", "t.yaml:4: conninfo stands on line 3 already"),
        ("a: 1\n---\nb: 2\n", "t.yaml:2: a second document begins; write one only"),
        ("a: !set {b}\n", "t.yaml:1: the tag !set means nothing here"),
        ("a: {<<: 1}\n", "t.yaml:1: <<: must be followed by a mapping, or a list of them"),
        (f"a: {'[' * 2000}{']' * 2000}\n", "t.yaml: is nested too deeply"),
        ("tenants: {a: {}, a: {}}\n", "t.yaml:1: a stands on line 1 already"),
        (
            "a: !!python/name:os.system x\n",
            "t.yaml:1: is not YAML: could not determine a constructor",
        ),
        ("tenants: {}\n", "t.yaml:1: databases: is missing"),
        ("databases: {}\n", "t.yaml:1: databases: "),
    ],
)
def test_an_unusable_file_is_an_error(load: Load, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value).startswith(said)


def test_a_missing_file_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^nowhere\.yaml: there is no such file$"):
        Settings.load("nowhere.yaml", environ={})


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        Settings.load(tmp_path, environ={})


def test_a_missing_secrets_folder_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"^secrets folder nowhere: cannot be read: No such file"):
        Settings.load(secrets_dir="nowhere", environ={})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TENANTPOOL_TEIRS__PRO__CAP", "; did you mean TENANTPOOL_TIERS__PRO__CAP?"),
        ("TENANTPOOL_CONFGI", "; did you mean TENANTPOOL_CONFIG?"),
        ("TENANTPOOL_SWEEP_INTERVAL__SECONDS", ""),
        ("TENANTPOOL_XYZZY", ""),
    ],
)
def test_an_unknown_environment_name_is_an_error(
    complaints: Complaints, name: str, hint: str
) -> None:
    assert complaints(environ={name: "1"}) == [f"environment {name}: is not a setting{hint}"]


def test_several_unknown_names_are_all_listed(load: Load) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(environ={"TENANTPOOL_A": "", "TENANTPOOL_B": ""})
    assert [e.place for e in caught.value.errors] == [
        "environment TENANTPOOL_A",
        "environment TENANTPOOL_B",
    ]


def test_a_value_beside_its_own_section_is_an_error(complaints: Complaints) -> None:
    environ = {"TENANTPOOL_TIERS__PRO": "x", "TENANTPOOL_TIERS__PRO__CAP": "3"}
    assert complaints(environ=environ) == [
        "environment TENANTPOOL_TIERS__PRO__CAP: is not a setting; its section has a value already"
    ]


@pytest.mark.parametrize("name", ["TENANTPOOL_TIERS", "TENANTPOOL_TIERS__PRO__BREAKER"])
def test_a_section_in_the_environment_must_be_json(complaints: Complaints, name: str) -> None:
    said = complaints(environ={name: "geheim", "TENANTPOOL_CLOSE_GRACE": "1"})
    assert said == [f"environment {name}: a section must be a JSON object"]


def test_what_kubernetes_puts_into_pods_is_no_setting(load: Load) -> None:
    load(
        environ={
            "TENANTPOOL_SERVICE_HOST": "10.0.0.1",
            "TENANTPOOL_SERVICE_PORT": "5432",
            "TENANTPOOL_SERVICE_PORT_ADMIN": "9000",
            "TENANTPOOL_PORT": "tcp://10.0.0.1:5432",
            "TENANTPOOL_PORT_5432_TCP": "tcp://10.0.0.1:5432",
            "TENANTPOOL_PORT_5432_TCP_ADDR": "10.0.0.1",
            "TENANTPOOL_ADMIN_SERVICE_HOST": "10.0.0.1",
        }
    )


def test_an_unknown_secret_is_an_error_at_its_file(complaints: Complaints) -> None:
    said = complaints(secrets={"databases__main__pasword": "geheim"})
    assert said == [
        "secret databases__main__pasword: unknown key; did you mean password?",
    ]


def test_files_of_others_in_the_secrets_folder_are_left_alone(load: Load, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "tls.key").write_bytes(b"\xff\xfe")
    (tmp_path / "secrets" / "..data__x").write_text("of a Kubernetes volume")
    load(secrets={"databases__main__password": "geheim"})


def test_a_secret_keeps_all_but_its_last_line_end(load: Load) -> None:
    settings = load(secrets={"databases__main__password": " a b \n"})
    password = settings.databases["main"].password
    assert password is not None
    assert password.get_secret_value() == " a b "
