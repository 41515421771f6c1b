"""The page and the schema that are generated from the models say what the models say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from tenantpool.config import Settings
from tools.generate_docs import PAGE, SCHEMA, main, run

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = json.loads((ROOT / SCHEMA).read_text())
VALIDATOR = Draft7Validator(DOCUMENT)

RESTART = [
    *("service.name", "service.folder", "service.state", "service.listen", "service.grpc_port"),
    *("service.gateway_port", "service.http_port", "service.http_listen"),
    *("service.tls", "service.max_request_size"),
    *("service.tls.certificate", "service.tls.key", "service.tls.client_ca"),
]


def mistakes(text: str) -> list[str]:
    """What an editor marks."""
    return [
        ".".join(map(str, error.absolute_path))
        for error in VALIDATOR.iter_errors(yaml.safe_load(text))
    ]


def test_both_files_are_up_to_date() -> None:
    assert main(["--check"]) == 0


def test_a_stale_file_is_found_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (SCHEMA, PAGE):
        (tmp_path / path).parent.mkdir()
    assert run(tmp_path, check=True) == 1
    assert "run `make docs`" in capsys.readouterr().err
    assert run(tmp_path, check=False) == 0
    assert run(tmp_path, check=True) == 0
    for path in (SCHEMA, PAGE):
        assert (tmp_path / path).read_text() == (ROOT / path).read_text()


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(DOCUMENT)


def test_the_example_is_valid_and_names_the_schema() -> None:
    text = (ROOT / "config" / "tenantpool.yaml").read_text()
    assert mistakes(text) == []
    assert text.startswith(f"# yaml-language-server: $schema={SCHEMA.name}\n")


@pytest.mark.parametrize(
    "text",
    [
        "databases: {main: {capacity: 3}}",  # the conninfo may be a secret file
        "databases: {main: }\ntenants: {acme: }\nservice:\ntiers: {pro: , basic: {weight: 2}}",
        "tenants: {acme: {settings: {app.id: 42, app.on: true, app.x: y}}}",
        "tiers: {gold: {cap: 3, enforce: {cap: false}, shrink: terminate, max_lease: null}}",
        "service: {identities: {w: {uids: [1]}, empty: }, folder: null}",
    ],
)
def test_the_schema_takes_what_the_settings_take(text: str) -> None:
    assert mistakes(text) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tier: {}", ""),
        ("tiers: {pro: {capp: 3}}", "tiers.pro"),
        ("tiers: {gold: {weight: 2}}", "tiers.gold"),
        ("tiers: {pro: {cap: 0}}", "tiers.pro.cap"),
        ("sweep_interval: 301", "sweep_interval"),
        ("sweep_interval: 0", "sweep_interval"),
        ("databases: {main: {capacity: many}}", "databases.main.capacity"),
        ("service: {grpc_port: 65536}", "service.grpc_port"),
    ],
)
def test_the_schema_marks_what_the_settings_refuse(text: str, place: str) -> None:
    assert mistakes(text) == [place]


def test_the_default_tiers_have_their_defaults() -> None:
    fields = DOCUMENT["definitions"]["Tier enterprise"]["properties"]
    assert (fields["cap"]["default"], fields["weight"]["default"]) == (50, 10.0)


def test_every_field_says_whether_it_can_change_live() -> None:
    rows: dict[str, str] = {}
    section = ""
    for line in (ROOT / PAGE).read_text().splitlines():
        if heading := re.fullmatch(r"## ([a-z_.]+)", line):
            section = f"{heading[1]}."
        elif row := re.match(r"\| \[?`(\w+)`.* \| (yes|\*\*restart\*\*) \| .+ \|$", line):
            rows[section + row[1]] = row[2]
    assert [name for name, live in rows.items() if live != "yes"] == RESTART
    assert set(Settings.model_fields) <= set(rows)
    assert {"tenants.suspended", "catalog.interval", "tiers.enforce.cap"} <= set(rows)


def test_the_examples_of_the_page_are_valid() -> None:
    for text in re.findall(r"```yaml\n(.*?)```", (ROOT / PAGE).read_text(), re.DOTALL):
        Settings(**yaml.safe_load(text))
