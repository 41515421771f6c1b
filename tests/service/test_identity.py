"""Who is who, and who may what."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tenantpool.config.service import EVERYBODY
from tenantpool.errors import NotAuthenticated
from tenantpool.service.identity import Guard, Identity

from .support import settings

OWN = os.geteuid()
OTHER = OWN + 4711
TOKENS = {"worker": "token-of-the-worker", "admin": "token-of-the-admin"}


def guard(**identities: dict[str, Any]) -> Guard:
    return Guard(settings({"identities": identities}).service)


def guard_of_all(tls: dict[str, str]) -> Guard:
    rules = {
        "worker": {"token": TOKENS["worker"], "tenants": ["acme", "team-*"]},
        "admin": {"tokens": [TOKENS["admin"], "another-token-of-admin"], "administer": True},
        "agent": {"uids": [OTHER], "tenants": ["*"], "direct": True},
        "mesh": {"certificates": ["spiffe://prod/ns/*"], "tenants": ["*"], "max_leases": 3},
        "host": {"certificates": ["DNS:*.Example.com", "CN=old"], "tenants": ["*"]},
    }
    return Guard(settings({"identities": rules, "tls": tls}).service)


@pytest.fixture
def everyone(tmp_path) -> Guard:
    for name in ("c", "k", "ca"):
        (tmp_path / name).touch()
    tls = {"certificate": tmp_path / "c", "key": tmp_path / "k", "client_ca": tmp_path / "ca"}
    return guard_of_all({name: str(path) for name, path in tls.items()})


def test_a_token_tells_who_it_is_everywhere(everyone: Guard) -> None:
    assert everyone.on_unix(None, TOKENS["worker"]).name == "worker"
    assert everyone.on_unix(OTHER, TOKENS["admin"]).name == "admin"
    assert everyone.on_tcp(is_loopback=False, token="another-token-of-admin").name == "admin"


@pytest.mark.parametrize("token", ["x", "token-of-the-worker ", "token-of-the-worke", "\udcff"])
def test_a_wrong_token_is_not_overlooked(everyone: Guard, token: str) -> None:
    with pytest.raises(NotAuthenticated, match="the token is not known"):
        everyone.on_unix(OTHER, token)
    with pytest.raises(NotAuthenticated, match="the token is not known"):
        everyone.on_tcp(is_loopback=True, token=token, certificate=["CN=old"])


@pytest.mark.parametrize(
    ("names", "who"),
    [
        (["CN=x", "spiffe://prod/ns/a/sa/b"], "mesh"),
        (["URI:spiffe://prod/ns/a"], "mesh"),
        (["DNS:a.example.COM"], "host"),
        (["CN=old", "DNS:b"], "host"),
    ],
)
def test_a_certificate_tells_who_it_is(everyone: Guard, names: list[str], who: str) -> None:
    assert everyone.on_tcp(is_loopback=False, certificate=names).name == who


@pytest.mark.parametrize(
    "names",
    [
        ["CN=spiffe://prod/ns/a"],
        ["DNS:spiffe://prod/ns/a"],
        ["URI:spiffe://test/ns/a"],
        ["CN=a.example.com"],
        ["DNS:example.com"],
        ["CN=older"],
        [],
    ],
)
def test_any_other_name_in_it_does_not(everyone: Guard, names: list[str]) -> None:
    with pytest.raises(NotAuthenticated, match="send authorization: Bearer"):
        everyone.on_tcp(is_loopback=True, certificate=names)


def test_a_user_of_this_host_is_known_by_number_on_unix_sockets(everyone: Guard) -> None:
    assert everyone.on_unix(OTHER).name == "agent"
    for uid in (OWN, None):
        with pytest.raises(NotAuthenticated):
            everyone.on_unix(uid)


def test_without_identities_the_own_user_may_do_everything_on_this_host() -> None:
    nobody = guard()
    for who in (nobody.on_unix(OWN), nobody.on_unix(0), nobody.on_tcp(is_loopback=True)):
        assert (who.name, who.may_administer, who.may_direct) == ("local", True, True)
        assert who.may_lease("anybody")
    for uid in (OTHER, None):
        with pytest.raises(NotAuthenticated):
            nobody.on_unix(uid)
    with pytest.raises(NotAuthenticated, match="come from this host"):
        nobody.on_tcp(is_loopback=False)


def test_everybody_may_lease_but_not_steer_if_the_operator_said_so_in_words() -> None:
    open_door = Guard(settings({"open_to_everybody": EVERYBODY}).service)
    for who in (open_door.on_tcp(is_loopback=False), open_door.on_unix(OTHER)):
        assert (who.name, who.may_administer, who.may_direct) == ("everybody", False, False)
        assert who.may_lease("anybody")
    assert open_door.on_tcp(is_loopback=True).name == "local"
    with pytest.raises(NotAuthenticated):
        open_door.on_tcp(is_loopback=False, token="a-token-of-nobody")


def test_tenants_are_names_and_patterns(everyone: Guard) -> None:
    worker = everyone.on_unix(None, TOKENS["worker"])
    assert [worker.may_lease(t) for t in ("acme", "team-1", "acme2", "xteam-1", "", "acme\n")] == [
        *(True, True),
        *(False, False, False, False),
    ]
    assert not everyone.on_unix(None, TOKENS["admin"]).may_lease("acme")
    assert everyone.on_tcp(is_loopback=False, certificate=["spiffe://prod/ns/x"]).max_leases == 3


def test_who_may_not_lease_may_lease_nobody() -> None:
    rules = {"token": "a-token-of-somebody", "administer": True, "tenants": ["*"], "lease": False}
    who = guard(monitor=rules).on_unix(None, "a-token-of-somebody")
    assert not who.can_lease
    assert not who.may_lease("acme")


def test_no_repr_holds_a_secret(everyone: Guard) -> None:
    assert repr(everyone) == "<Guard 3 tokens, 3 certificates, 1 users>"
    assert "token" not in repr(Identity("worker")).replace("tokens", "")
    state = str(vars(everyone))
    assert not any(token in state for token in TOKENS.values())


@pytest.mark.parametrize(
    ("identities", "private"),
    [
        ({}, True),
        ({"a": {"uids": [OWN, 0], "tenants": ["*"]}}, True),
        ({"a": {"uids": [OTHER], "tenants": ["*"]}}, False),
        ({"a": {"token": "a-token-of-somebody", "tenants": ["*"]}}, False),
    ],
)
def test_a_socket_is_private_if_only_the_own_user_is_known(
    identities: dict[str, Any], private: bool
) -> None:
    assert guard(**identities).is_private is private


# -- other rules -------------------------------------------------------------------------------


def adopt(known: Guard, **identities: dict[str, Any]) -> None:
    known.adopt(settings({"identities": identities}).service)


def test_a_token_that_is_kept_still_proves_its_identity_with_its_new_rights() -> None:
    known = guard(worker={"tokens": ["token-number-one", "token-number-two"], "tenants": ["*"]})
    worker = known.on_unix(None, "token-number-two")
    adopt(known, worker={"tokens": ["token-number-two"], "tenants": ["acme"], "max_leases": 3})
    again = known.again(worker)
    assert (again.name, again.max_leases, again.may_lease("globex")) == ("worker", 3, False)


def test_a_token_that_is_taken_out_proves_nothing_though_its_identity_is_there() -> None:
    known = guard(worker={"tokens": ["token-number-one", "token-number-two"], "tenants": ["*"]})
    worker = known.on_unix(None, "token-number-one")
    adopt(known, worker={"tokens": ["token-number-two"], "tenants": ["*"]})
    with pytest.raises(NotAuthenticated, match="the token is not known"):
        known.again(worker)


def test_a_token_that_proves_another_identity_now_is_not_the_same_somebody() -> None:
    known = guard(worker={"token": TOKENS["worker"], "tenants": ["*"]})
    worker = known.on_unix(None, TOKENS["worker"])
    adopt(known, other={"token": TOKENS["worker"], "tenants": ["*"]})
    with pytest.raises(NotAuthenticated, match="what proved worker now proves other"):
        known.again(worker)


def test_who_came_without_identities_is_unknown_once_there_are_some() -> None:
    known = guard()
    for local in (known.on_unix(OWN), known.on_tcp(is_loopback=True)):
        assert known.again(local) == local
    before = [known.on_unix(OWN), known.on_tcp(is_loopback=True)]
    adopt(known, worker={"token": TOKENS["worker"], "tenants": ["*"]})
    for local in before:
        with pytest.raises(NotAuthenticated):
            known.again(local)


def test_a_user_and_a_certificate_are_looked_up_again(everyone: Guard) -> None:
    agent = everyone.on_unix(OTHER)
    mesh = everyone.on_tcp(is_loopback=False, certificate=["URI:spiffe://prod/ns/web"])
    assert everyone.again(agent) == agent
    assert everyone.again(mesh).name == "mesh"
    adopt(everyone, agent={"uids": [OTHER + 1], "tenants": ["*"]})
    for gone in (agent, mesh):
        with pytest.raises(NotAuthenticated):
            everyone.again(gone)


def test_an_identity_shows_no_proof() -> None:
    known = guard(worker={"token": TOKENS["worker"], "tenants": ["*"]})
    assert "digest" not in repr(known.on_unix(None, TOKENS["worker"]))
