# Generated from ../_async/test_sharing.py by tools/generate_sync.py: do not edit.
"""What a link shows to one who hands its socket to others."""

from __future__ import annotations

import os

import pytest

from tenantpool.embedded import EmbeddedPostgres
from tests.pools._sync.conftest import OpenLink
from tests.support.servers import on_latest

pytestmark = on_latest


@pytest.mark.parametrize(
    ("by_network", "mode", "is_plain"),
    [(False, "prefer", True), (True, "disable", True), (True, "prefer", False)],
)
def test_whether_others_can_speak_on_the_socket(
    by_network: bool, mode: str, is_plain: bool, postgres: EmbeddedPostgres, open_link: OpenLink
):
    host = {"host": "127.0.0.1"} if by_network else {}
    link = open_link(postgres.dsn(gssencmode=mode, **host))
    assert link.is_plain is is_plain
    assert link.is_plain is is_plain, "the second look"


def test_the_socket_is_made_once_and_goes_with_the_link(
    postgres: EmbeddedPostgres, open_link: OpenLink
):
    link = open_link(postgres.dsn())
    assert not link.is_shared
    end = link.socket
    assert link.is_shared
    assert end is link.socket
    assert not end.getblocking()
    assert os.fstat(end.fileno()).st_ino == os.fstat(link.conn.fileno()).st_ino
    assert end.fileno() != link.conn.fileno()

    link.wipe(20)
    assert not link.is_shared
    assert end.fileno() >= 0

    assert link.end(20)
    assert end.fileno() == -1


def test_an_abandoned_link_leaves_no_socket(postgres: EmbeddedPostgres, open_link: OpenLink):
    link = open_link(postgres.dsn())
    end = link.socket
    link.abandon()
    assert end.fileno() == -1
