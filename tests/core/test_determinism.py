"""The core is pure: the same events give the same actions, and nothing else comes in."""

from __future__ import annotations

import ast
from pathlib import Path
from random import Random

from tenantpool import core
from tenantpool.core.actions import Actions
from tenantpool.core.request import GRANTED, WAITING, Request
from tests.core.driver import REFUSED_ONCE, World

HARMLESS = {"__future__", "collections", "dataclasses", "enum", "heapq", "itertools", "math"}
HARMLESS |= {"bisect", "typing", "tenantpool.errors"}


class Recorded(World):
    """A world that keeps a log of every action."""

    def __init__(self) -> None:
        super().__init__(capacity=6, connect_concurrency=2)
        self.log: list[str] = []

    def perform(self, actions: Actions) -> None:
        self.log += [f"{self.now} {action!r}" for action in actions]
        super().perform(actions)


def a_day(seed: int) -> list[str]:
    """What happens to some tenants that do this and that."""
    chance, world = Random(seed), Recorded()
    names = {"a": "a", "b": "b", "x": "shared", "y": "shared"}
    tenants = [world.tenant(n, pool, cap=3, overflow=1, max_waiting=5) for n, pool in names.items()]
    requests: list[Request] = []
    for _ in range(500):
        world.run(chance.choice([0.0, 0.01, 0.05, 0.2]))
        requests.append(world.ask(chance.choice(tenants), priority=chance.randrange(2)))
        event = chance.choice(["release", "release", "cancel", "expire", "revoke", "replace"])
        requests = [request for request in requests if request.state in (WAITING, GRANTED)]
        if len(requests) > 8:
            world.perform(getattr(world.db, event)(world.now, chance.choice(requests)))
        world.failing = {"a": REFUSED_ONCE} if chance.random() < 0.1 else {}
        if chance.random() < 0.1:
            world.sweep()
    world.log += [repr(world.db), *map(repr, tenants)]
    return world.log


def test_the_same_events_give_the_same_actions() -> None:
    first, other, second = a_day(1), a_day(2), a_day(1)
    assert len(first) > 200
    assert first == second != other


def test_nothing_is_imported_that_could_block_or_tell_the_time_or_throw_dice() -> None:
    files = list(Path(core.__path__[0]).glob("*.py"))
    assert len(files) > 10
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert all(n in HARMLESS or n.split(".")[0] in HARMLESS for n in names), (file, names)
