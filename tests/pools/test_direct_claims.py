"""Which backends a direct lease takes for its own."""

from __future__ import annotations

from tenantpool.pools._async.direct import AsyncDirectLink, Backend, Listed


def a_link() -> AsyncDirectLink:
    link = object.__new__(AsyncDirectLink)  # it needs no connection for this
    link.user, link.name, link.seen = "login", "mark direct-1", []
    return link


def test_a_backend_that_is_still_starting_has_no_role_yet() -> None:
    backend = Backend("7", "1.5")
    assert a_link().claim([Listed(backend, None, "mark direct-1")]) == [backend]


def test_the_name_alone_is_not_enough() -> None:
    assert a_link().claim([Listed(Backend("7", "1.5"), "stranger", "mark direct-1")]) == []


def test_one_that_was_seen_is_known_whatever_it_calls_itself() -> None:
    link, backend = a_link(), Backend("7", "1.5")
    link.claim([Listed(backend, "login", "mark direct-1")])
    assert link.claim([Listed(backend, "login", "something else")]) == [backend]
    assert link.claim([Listed(Backend("7", "2.5"), "login", "something else")]) == []
