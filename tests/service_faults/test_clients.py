"""Clients of the gateway that do not do what they should: nobody else has to wait for them."""

from __future__ import annotations

import socket
import struct
from time import monotonic

from tenantpool.embedded import HOST
from tests.service_faults.conftest import Clerk, OpenPuppet
from tests.service_faults.house import House
from tests.support.wait import wait_until

MEGABYTE = 1 << 20
RESULT = 64
"""Megabytes of a large result."""
BOUND = 24
"""Megabytes that the service may grow by meanwhile."""

LARGE = f"select repeat('x', {MEGABYTE}) from generate_series(1, {RESULT})"


def test_a_slow_reader(house: House, puppets: OpenPuppet, clerk: Clerk):
    """What it does not read stays in the server."""
    before = house.books()["memory"]
    slow, other = puppets(delivery="gateway"), puppets(delivery="gateway")
    pid = slow.take("own_0")
    slow.do(f"conn.pgconn.send_query({LARGE.encode()!r}); conn.pgconn.set_single_row_mode()")
    slow.do("conn.pgconn.flush()")
    blocked = "select wait_event = 'ClientWrite' from pg_stat_activity where pid = %s"
    wait_until(lambda: clerk.ask(blocked, pid), what="the server to wait for the reader")

    for _ in range(20):
        other.take("own_0", "quick", timeout=5)
        other.give_back("quick")
    assert house.books()["memory"] - before < BOUND * MEGABYTE
    slow.do(
        "size = 0\n"
        "while (result := conn.pgconn.get_result()) is not None:\n"
        "    size += sum(len(result.get_value(n, 0)) for n in range(result.ntuples))\n"
    )
    assert slow.do("size") == RESULT * MEGABYTE
    assert house.books()["memory"] - before < BOUND * MEGABYTE
    slow.give_back()


def test_a_slow_reader_that_is_killed(house: House, puppets: OpenPuppet, clerk: Clerk):
    slow = puppets(delivery="gateway")
    pid = slow.take("own_0")
    slow.start(f"conn.pgconn.send_query({LARGE.encode()!r}); conn.pgconn.flush(); input()")
    blocked = "select wait_event = 'ClientWrite' from pg_stat_activity where pid = %s"
    wait_until(lambda: clerk.ask(blocked, pid), what="the server to wait for the reader")
    slow.kill()
    wait_until(lambda: pid not in clerk.pids(), what="the end of its backend")


def test_half_a_start_up_packet(house: House, puppets: OpenPuppet):
    """Who sends that, and waits, is let go of when the time for it is over."""
    packet = struct.pack("!II", 60, 196608) + b"user\0own_0\0"
    strangers = [socket.create_connection((HOST, house.gateway_port)) for _ in range(20)]
    try:
        for number, stranger in enumerate(strangers):
            stranger.sendall(packet[:number])
        began = monotonic()
        wait_until(lambda: house.books()["clients"] == len(strangers))
        worker = puppets(delivery="gateway")
        worker.take("own_0", timeout=5)
        for stranger in strangers:
            stranger.settimeout(10)
            while stranger.recv(4096):
                pass
        assert monotonic() - began > 0.5, "they had time"
        wait_until(lambda: house.books()["clients"] == 1)
        assert worker.run("select 1") == 1
    finally:
        for stranger in strangers:
            stranger.close()
