"""Log records: an event in the fewest words, and its fields."""

from __future__ import annotations

import logging

logger = logging.getLogger("tenantpool")


def report(level: int, event: str, **fields: object) -> None:
    """Log *event* with its fields, in the text and as the record's ``fields``.

    Values must carry no secret: names, numbers, and errors of the database.
    """
    if logger.isEnabledFor(level):
        text = " ".join(f"{name}={_shown(value)}" for name, value in fields.items())
        logger.log(level, "%s %s", event, text, extra={"event": event, "fields": fields})


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value).strip()
    return text if text.isprintable() and " " not in text and text else repr(text)
