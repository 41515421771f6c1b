"""Hears what tenantpool logs: its events are data, so nothing need be read out of their text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

Hear = Callable[[str, Mapping[str, object]], None]


class Listener(logging.Handler):
    """Tells *hear* of each event and its fields; errors go to stderr as well.

    Nothing else of the log is shown: what a demo has planned needs no warning.
    """

    def __init__(self, hear: Hear) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging, in any thread."""
        event = getattr(record, "event", "")
        if event:
            self._hear(event, getattr(record, "fields", {}))
        if record.levelno >= logging.ERROR and logging.lastResort is not None:
            logging.lastResort.handle(record)


def listen(hear: Hear) -> None:
    """Hear everything from warnings up, for the rest of this process."""
    logger = logging.getLogger("tenantpool")
    logger.setLevel(logging.WARNING)
    logger.addHandler(Listener(hear))
    logger.propagate = False
