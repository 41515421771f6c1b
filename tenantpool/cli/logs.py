"""The log of a process that runs for long: a line for each record, for people or for programs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from enum import StrEnum


class LogFormat(StrEnum):
    """How a record looks."""

    TEXT = "text"
    JSON = "json"


def start_logging(form: LogFormat) -> None:
    """Write what is logged to stderr from now on."""
    formatter = _Lines() if form is LogFormat.TEXT else _Objects()
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class _Lines(logging.Formatter):
    """Time, level, event and its fields as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return _time(record)


class _Objects(logging.Formatter):
    """A JSON object, with the fields of an event beside it."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name}
        entry["event"] = getattr(record, "event", None) or record.getMessage()
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        fields = getattr(record, "fields", {})
        return json.dumps({**fields, **entry}, default=str, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds")
