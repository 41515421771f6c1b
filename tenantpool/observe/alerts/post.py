"""One POST over HTTP or HTTPS, and what became of it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from typing import Any, Final, NamedTuple
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

_LATER: Final = {408, 425, 429}
"""Answers of a receiver that may take it later; so are all of 500 and above."""


class Outcome(NamedTuple):
    """What became of it."""

    taken: bool
    again: bool
    """Whether trying again may help."""
    said: str
    """In a few words, without the URL."""
    retry_after: float | None = None
    """Seconds, if the receiver named some."""


class _NoRedirect(HTTPRedirectHandler):
    """What is sent goes where the operator said, or nowhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def post(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Outcome:
    """Send *body*; TLS certificates are verified, redirects are not followed.

    Blocks: *timeout* is the longest wait, in seconds, for the connect and for the answer each.
    Honours ``https_proxy`` and the like.
    """
    opener = build_opener(_NoRedirect)
    if url.startswith("https:"):  # to read the authorities of this host takes 20 ms
        opener = build_opener(_NoRedirect, HTTPSHandler(context=ssl.create_default_context()))
    request = Request(url, body, dict(headers), method="POST")
    try:
        with opener.open(request, timeout=timeout) as answer:
            return Outcome(True, False, f"HTTP {answer.status}")
    except HTTPError as error:
        with error:
            return _refused(error.code, error.headers)
    except (HTTPException, ValueError) as error:
        return Outcome(False, True, type(error).__name__)  # its text may have the URL
    except OSError as error:
        reason = getattr(error, "reason", error)
        return Outcome(False, True, f"{type(reason).__name__}: {reason}")


def _refused(status: int, headers: Message) -> Outcome:
    again = status in _LATER or status >= 500
    value = headers.get("Retry-After", "")
    seconds = float(value) if value.isascii() and value.isdigit() else None
    return Outcome(False, again, f"HTTP {status}", seconds)
