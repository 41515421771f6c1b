"""What the worker processes of ``workers.py`` do: a query for one tenant after the other."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import psycopg

from benchmarks.contenders import zipf
from benchmarks.crew import Shift
from tenantpool.client import LeaseClient

_BEFORE_IT_REPEATS = 10_000
_AFTER_ERROR = 0.05
_LONGEST_WAIT = 30
"""Seconds."""

Query = Callable[[str], object]


def work(shift: Shift) -> dict[str, Any]:
    """Seconds of each request, and how many errors of which kind, until the shift ends."""
    spec = shift.spec
    contender = _through_service if "target" in spec else _by_connect
    times: list[float] = []
    errors: Counter[str] = Counter()
    with contender(spec) as query:
        for tenant in cycle(_demand(shift.number, spec)):
            asked = time.monotonic()
            if asked >= shift.ends:
                break
            try:
                query(tenant)
            except Exception as error:
                if asked >= shift.starts:
                    errors[f"{type(error).__name__}: {error}"] += 1
                time.sleep(_AFTER_ERROR)
                continue
            done = time.monotonic()
            if asked >= shift.starts and done <= shift.ends:
                times.append(done - asked)
    return {"times": times, "errors": errors}


def _demand(seed: int, spec: dict[str, Any]) -> list[str]:
    shares = zipf(spec["tenants"], spec["exponent"])
    return random.Random(seed).choices(list(shares), list(shares.values()), k=_BEFORE_IT_REPEATS)


@contextmanager
def _through_service(spec: dict[str, Any]) -> Iterator[Query]:
    statement = spec["statement"].encode()
    kwargs = {"autocommit": True}
    leases: LeaseClient[Any]
    with LeaseClient(spec["target"], kwargs=kwargs) as leases:

        def query(tenant: str) -> None:
            with leases.connection(tenant, timeout=_LONGEST_WAIT) as conn:
                conn.execute(statement)

        yield query


@contextmanager
def _by_connect(spec: dict[str, Any]) -> Iterator[Query]:
    statement, conninfo = spec["statement"].encode(), spec["conninfo"]

    def query(tenant: str) -> None:
        conn = psycopg.connect(
            conninfo, user=tenant, autocommit=True, connect_timeout=_LONGEST_WAIT
        )
        with conn:
            conn.execute(statement)

    yield query
