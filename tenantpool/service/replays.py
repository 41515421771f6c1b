"""Requests that come twice, because their answer was lost: each is carried out once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Generic, NamedTuple, TypeVar

from tenantpool.errors import RequestConflict

T = TypeVar("T")

Key = tuple[str, str]
"""Who asks, and the request id that they chose."""


class _Asked(NamedTuple, Generic[T]):
    body: bytes
    answer: asyncio.Task[T]


class Replays(Generic[T]):
    """The answers given to request ids; the oldest are forgotten when there are *most*.

    A repeat joins the request that is under way, and gets the same answer when that is over. A
    refusal is not kept: a repeat of a refused request is a new try.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._asked: OrderedDict[Key, _Asked[T]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._asked)} kept>"

    async def once(self, key: Key, body: bytes, do: Callable[[], Coroutine[None, None, T]]) -> T:
        """The answer to this request: that of *do*, unless it was asked for before.

        A caller that is cancelled does not end the work: its repeat finds it. Raises what *do*
        raises, and RequestConflict if the id was used with another *body*.
        """
        asked = self._asked.get(key)
        if asked is None:
            asked = self._begin(key, body, do)
        elif asked.body != body:
            raise RequestConflict(f"request_id {key[1]!r} was used for another request before")
        return await asyncio.shield(asked.answer)

    def _begin(
        self, key: Key, body: bytes, do: Callable[[], Coroutine[None, None, T]]
    ) -> _Asked[T]:
        asked = self._asked[key] = _Asked(body, asyncio.create_task(do()))
        asked.answer.add_done_callback(lambda answer: self._answered(key, answer))
        while len(self._asked) > self._most:
            self._asked.popitem(last=False)
        return asked

    def _answered(self, key: Key, answer: asyncio.Task[T]) -> None:
        asked = self._asked.get(key)
        failed = answer.cancelled() or answer.exception() is not None
        if failed and asked is not None and asked.answer is answer:
            del self._asked[key]
