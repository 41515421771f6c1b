"""A full life: everything that must happen while the tenants work, side by side."""

from __future__ import annotations

import asyncio

from tenantpool.cli.demo.acts import ACTS
from tenantpool.cli.demo.scene import Scene


class Life:
    """Lets all acts happen in *scene*, each at its time; they begin at once."""

    def __init__(self, scene: Scene) -> None:
        self._acts = {words: asyncio.create_task(act(scene)) for words, act in ACTS.items()}

    def __repr__(self) -> str:
        over = sum(act.done() for act in self._acts.values())
        return f"<{type(self).__name__} {over} of {len(self._acts)} acts are over>"

    @property
    def is_over(self) -> bool:
        """Whether all have happened, or failed."""
        return all(act.done() for act in self._acts.values())

    async def end(self) -> None:
        """Wait for nothing more."""
        for act in self._acts.values():
            act.cancel()
        await asyncio.wait(self._acts.values())

    @property
    def wrong(self) -> list[str]:
        """What has not happened, once it has ended."""
        wrong: list[str] = []
        for words, act in self._acts.items():
            if act.cancelled():
                wrong.append(f"{words} did not happen")
            elif error := act.exception():
                wrong.append(f"{words}: {error}")
        return wrong
