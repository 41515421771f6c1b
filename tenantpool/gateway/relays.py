"""What joins clients to backends: a splice in C where there is one, else a relay in Python."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .framing import Framing
from .relay import Relay

if TYPE_CHECKING:
    from ._splice import Framing as NativeFraming
    from .splice import Splice, Spliced

PURE_PYTHON: Final = "TENANTPOOL_PURE_PYTHON"
"""The environment variable that keeps what is compiled from being used, if it is not empty."""


class Relays:
    """Makes those of one gateway. tools/build_splice.py compiles what is in C."""

    def __init__(self) -> None:
        self._splice: Splice | None = None
        self._splice_type: type[Splice] | None = None
        self._framing_type: type[Framing] | type[NativeFraming] = Framing
        if os.environ.get(PURE_PYTHON):
            return
        try:
            from ._splice import Framing as NativeFraming
            from .splice import Splice
        except ImportError:
            return
        self._splice_type, self._framing_type = Splice, NativeFraming

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self.language}>"

    @property
    def language(self) -> str:
        """What they are written in: C or Python."""
        return "Python" if self._splice_type is None else "C"

    def start(self) -> None:
        """Start the splice's thread, if there is one; again does nothing. Raises OSError.

        They belong to the running event loop from then on.
        """
        if self._splice_type is not None and self._splice is None:
            self._splice = self._splice_type()

    def relay(
        self,
        client: asyncio.Transport,
        on_end: Callable[[bool], None],
        on_lost: Callable[[], None],
    ) -> Relay | Spliced:
        """Make one for *client*, see ``Relay``. Only asyncio can read what is encrypted."""
        if self._splice is None or client.get_extra_info("sslcontext") is not None:
            return Relay(client, on_end, on_lost, self._framing_type())
        return self._splice.relay(client, on_end, on_lost)

    def close(self) -> None:
        """End the splice's thread, if there is one. Nobody is joined any more."""
        if self._splice is not None:
            self._splice.close()
            self._splice = None
