"""The section ``service``: its defaults, its mistakes, and what is shown of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tenantpool.config import IdentityRule, Service, Settings, Tls, effective_yaml
from tenantpool.config.diff import differences
from tenantpool.config.service import EVERYBODY, UNENCRYPTED
from tenantpool.config.service_checks import is_loopback

from .conftest import MAIN, Complaints, Load

TOKEN = "geheim-geheim-geheim"
KNOWN = f"identities: {{w: {{token: {TOKEN}, tenants: ['*']}}}}"


def service(load: Load, written: str) -> Service:
    return load(MAIN + f"service: {{{written}}}\n").service


def test_without_the_section_the_defaults_hold(load: Load) -> None:
    made = load(MAIN).service
    assert made == load(MAIN + "service:\n").service
    assert (made.listen, made.grpc_port, made.gateway_port) == (["127.0.0.1"], 7432, 6432)
    assert (made.folder, made.tls, made.identities) == ("auto", None, {})
    assert (made.http_port, made.http_listen) == (9432, None)
    assert (made.metrics_open, made.metrics_tenants) == (False, 20)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("port: 1", "service.port: unknown key; did you mean"),
        (
            "tls: {certificate: c, key: k, cert: x}",
            "service.tls.cert: unknown key; known: certificate, client_ca, key",
        ),
        ("identities: {w: {tokn: x}}", "service.identities.w.tokn: unknown key; did you mean"),
        ("name: a b", "service.name: String should match pattern"),
        ("folder: run", "service.folder: must be auto, null, or a path that starts with /"),
        (f"folder: /{'x' * 90}", "service.folder: must not be longer than 90 bytes"),
        ("listen: ['127.0.0.1:80/x']", "service.listen.0: must be a host name or an address"),
        ("grpc_port: 65536", "service.grpc_port: should be less than or equal to 65535"),
        ("grpc_port: 6432", "service.gateway_port: is that of grpc_port too"),
        ("http_port: 7432", "service.http_port: is that of grpc_port too"),
        ("http_port: 6432", "service.http_port: is that of gateway_port too"),
        (
            "http_listen: ['127.0.0.1', 10.0.0.1]",
            "service.http_listen: 10.0.0.1 can be reached by others, and tokens would not be",
        ),
        ("metrics_tenants: many", "service.metrics_tenants: must be a whole number from 0 up, or"),
        ("metrics_tenants: true", "service.metrics_tenants: must be a whole number from 0 up, or"),
        ("listen: [], folder: null", "service.listen: is empty, and there is no folder"),
        ("lease_ttl: 0", "service.lease_ttl: should be greater than 0"),
        ("lease_ttl: 30, lease_ttl_max: 20", "service.lease_ttl: 30 is more than lease_ttl_max 20"),
        ("open_to_everybody: true", "service.open_to_everybody: must be text"),
        ("open_to_everybody: 'yes'", f'service.open_to_everybody: must be exactly "{EVERYBODY}"'),
        ("unencrypted: 'yes'", f'service.unencrypted: must be exactly "{UNENCRYPTED}"'),
        ("tls: {certificate: x}", "service.tls.key: is missing"),
        ("identities: {'a/b': {}}", "service.identities.a/b: String should match pattern"),
    ],
)
def test_a_mistake_is_named_at_its_place(complaints: Complaints, written: str, said: str) -> None:
    lines = complaints(f"service: {{{written}}}")
    assert lines[0].startswith(f"t.yaml:4: {said}")


# -- open doors --------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "db.example.com", "*"])
def test_a_door_to_the_network_needs_a_lock_or_words(
    load: Load, complaints: Complaints, host: str
) -> None:
    (line,) = complaints(f"service: {{listen: ['{host}']}}")
    assert line.startswith(
        f"t.yaml:4: service.listen: {host} can be reached by others, and nobody has to prove"
    )
    service(load, f"listen: ['{host}'], open_to_everybody: {EVERYBODY}")


def test_with_identities_it_needs_encryption_or_words(load: Load, complaints: Complaints) -> None:
    (line,) = complaints(f"service: {{listen: ['0.0.0.0'], {KNOWN}}}")
    assert "0.0.0.0 can be reached by others, and nothing is encrypted" in line
    service(load, f"listen: ['0.0.0.0'], {KNOWN}, unencrypted: {UNENCRYPTED}")
    for name in ("c", "k"):
        Path(name).touch()
    service(load, f"listen: ['0.0.0.0'], {KNOWN}, tls: {{certificate: c, key: k}}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_host_needs_neither(load: Load, host: str) -> None:
    assert is_loopback(host)
    service(load, f"listen: ['{host}']")


# -- TLS ---------------------------------------------------------------------------------------


def test_files_that_are_not_there_are_named(complaints: Complaints) -> None:
    lines = complaints("service: {tls: {certificate: c, key: k, client_ca: ca}}")
    assert lines == [
        "t.yaml:4: service.tls.certificate: there is no file c",
        "t.yaml:4: service.tls.key: there is no file k",
        "t.yaml:4: service.tls.client_ca: there is no file ca",
    ]


def test_a_file_that_cannot_be_read_is_named(
    complaints: Complaints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("c", "k"):
        (tmp_path / name).touch()
    monkeypatch.setattr("os.access", lambda path, mode: path != "k")  # root may read everything
    (line,) = complaints("service: {tls: {certificate: c, key: k}}")
    assert line == "t.yaml:4: service.tls.key: k cannot be read"


# -- identities --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("tenants: ['*']", "service.identities.w: cannot be told from anybody; set token"),
        ("token: short, tenants: ['*']", "service.identities.w.token: must have at least 16"),
        (
            "token: 'a token with blanks', tenants: ['*']",
            "service.identities.w.token: must have at least 16",
        ),
        ("token: 1234567890123456, tenants: ['*']", "service.identities.w.token: must be text"),
        ("certificates: [x], tenants: ['*']", "service.identities.w.certificates.0: must start"),
        (
            "certificates: [CN=x], tenants: ['*']",
            "service.identities.w.certificates: cannot be checked without service.tls.client_ca",
        ),
        ("uids: [-1], tenants: ['*']", "service.identities.w.uids.0: should be greater than"),
        ("uids: [1]", "service.identities.w.tenants: is missing: it may do nothing"),
        (
            "uids: [1], tenants: [acmee]",
            "service.identities.w.tenants: acmee is no tenant; did you mean acme?",
        ),
        ("uids: [1], tenants: ['x-*']", "service.identities.w.tenants: x-* fits no tenant"),
        ("uids: [1], tenants: ['*'], max_leases: 0", "service.identities.w.max_leases: should be"),
    ],
)
def test_a_mistake_in_an_identity_is_named(complaints: Complaints, rule: str, said: str) -> None:
    lines = complaints(
        f"""
        template: {{enabled: false}}
        tenants: {{acme: {{}}}}
        service: {{identities: {{w: {{{rule}}}}}}}
        """
    )
    assert lines[0].startswith(f"t.yaml:7: {said}")


def test_a_tenant_that_the_template_takes_need_not_be_listed(
    load: Load, complaints: Complaints
) -> None:
    service(load, "identities: {w: {uids: [1], tenants: [anybody, 'team-*']}}")
    (line,) = complaints("service: {identities: {w: {uids: [1], tenants: ['any body']}}}")
    assert "any body is no tenant" in line


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (f"token: {TOKEN}", f"token: {TOKEN}", "b.token: a token belongs to"),
        (f"token: {TOKEN}", f"tokens: [{TOKEN}]", "b.tokens: a token belongs to"),
        ("uids: [7]", "uids: [8, 7]", "b.uids: a uid belongs to"),
    ],
)
def test_what_tells_identities_apart_belongs_to_one(
    complaints: Complaints, first: str, second: str, said: str
) -> None:
    rules = f"a: {{tenants: ['*'], {first}}}, b: {{tenants: ['*'], {second}}}"
    (line,) = complaints(f"service: {{identities: {{{rules}}}}}")
    assert said in line
    assert "service.identities.a already" in line
    assert "geheim" not in line


def test_tokens_come_from_secrets_and_the_environment_too(load: Load) -> None:
    text = MAIN + "service: {identities: {Worker: {tenants: ['*']}, other: {tenants: ['*']}}}\n"
    made = load(
        text,
        secrets={"service__identities__worker__token": f"{TOKEN}\n"},
        environ={"TENANTPOOL_SERVICE__IDENTITIES__OTHER__TOKENS": f'["{TOKEN}-2"]'},
    )
    assert list(made.service.identities["Worker"].all_tokens()) == [TOKEN]
    assert list(made.service.identities["other"].all_tokens()) == [f"{TOKEN}-2"]


def test_the_environment_is_checked_as_the_file_is(complaints: Complaints) -> None:
    environ = {"TENANTPOOL_SERVICE__GRPC_PORTT": "1"}
    (line,) = complaints(environ=environ)
    assert line == (
        "environment TENANTPOOL_SERVICE__GRPC_PORTT: unknown key; did you mean grpc_port?"
    )


# -- what is shown -----------------------------------------------------------------------------


def test_tokens_are_hidden_wherever_they_could_be_shown(load: Load) -> None:
    rule = f"token: {TOKEN}-1, tokens: [{TOKEN}-2], tenants: ['*']"
    made = load(MAIN + f"service: {{identities: {{w: {{{rule}}}}}}}\n")
    shown = yaml.safe_load(effective_yaml(made))["service"]["identities"]["w"]
    assert (shown["token"], shown["tokens"]) == ("***", ["***"])
    for text in (effective_yaml(made), repr(made.service), made.model_dump_json()):
        assert "geheim" not in text


@pytest.mark.parametrize("model", [Service, IdentityRule, Tls])
def test_every_field_is_described_and_durations_have_units(model: type[Settings]) -> None:
    endings = ("_ttl", "_ttl_max", "_grace", "_within", "_quiet", "_timeout")
    for name, field in model.model_fields.items():
        assert field.description, name
        if name.endswith(endings):
            assert "seconds" in field.description, name


def test_differences_are_named_without_secrets(load: Load) -> None:
    old = load(MAIN + f"service: {{{KNOWN}, grpc_port: 1}}\n")
    new = load(
        MAIN + f"service: {{{KNOWN.replace('geheim', 'anders')}, grpc_port: 2}}\ntenants: {{a: }}"
    )
    assert differences(old, old) == []
    found = [str(difference) for difference in differences(old, new)]
    assert found[:1] == ["tenants.a: absent -> " + found[0].partition("-> ")[2]]
    assert found[1:] == [
        "service.grpc_port: 1 -> 2",
        "service.identities.w.token: *** -> ***",
    ]
