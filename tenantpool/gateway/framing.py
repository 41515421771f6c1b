"""Where messages begin and end in both directions of a session, and whether it is at rest.

Only headers are looked at, and messages are skipped by length. What is fed is returned to be sent
on, but for the few bytes of a header that is not complete: those come with the next piece.
"""

from __future__ import annotations

from typing import Final

from .protocol import HEADER, ProtocolViolation

_header = HEADER.unpack_from
_HEADER_SIZE: Final = 5
_LONGEST: Final = 0x3FFFFFFF
"""The most that PostgreSQL can allocate, and so receive, at once: 1 GiB."""

IDLE: Final = ord("I")

_READY = ord("Z")
_READY_IDLE = b"Z\0\0\0\5I"
_COPY_IN = ord("G")
_COPY_BOTH = ord("W")
_ERROR = ord("E")
_TELLING = frozenset(b"ZGWE")

_QUERY = ord("Q")
_SYNC = ord("S")
_CALL = ord("F")
_EXECUTE = ord("E")
_TERMINATE = ord("X")
_KNOWN = frozenset(b"BCDEFHPQSXcdf")
_UNSYNCED = frozenset(b"PBDEC")
_IN_COPY = frozenset(b"dHScf")
_COPY_END = frozenset(b"cf")


class Framing:
    """The state of one session's protocol.

    ``requests`` takes what the client sends, and raises ProtocolViolation for what can't be a
    message. ``answers`` takes what the backend sends.
    """

    __slots__ = (
        "_answer_head",
        "_answer_skip",
        "_answered",
        "_asked",
        "_in_copy",
        "_lost_track",
        "_request_head",
        "_request_skip",
        "_since_execute",
        "_status",
        "_unsynced",
        "terminated",
    )

    def __init__(self) -> None:
        self.terminated = False
        """Whether the client has said Terminate."""
        self._request_skip = 0  # bytes to come of a message whose header was seen
        self._request_head = b""  # an incomplete header
        self._answer_skip = 0
        self._answer_head = b""
        self._asked = 0  # messages that demand a ReadyForQuery ...
        self._answered = 0  # ... and those that came
        self._status = IDLE
        self._unsynced = False
        self._in_copy = False
        self._since_execute = -1  # Syncs right behind the last Execute; -1: something else is there
        self._lost_track = False

    def __repr__(self) -> str:
        state = "clean" if self.is_clean else "busy"
        return f"<{type(self).__name__} {self._answered} of {self._asked} answered, {state}>"

    @property
    def is_clean(self) -> bool:
        """Whether nothing is under way in either direction, and no transaction open."""
        return (
            self._asked == self._answered
            and self._status == IDLE
            and not (self._request_skip or self._request_head or self._unsynced)
            and not (self._in_copy or self._lost_track)
            and self.answers_whole
        )

    @property
    def answers_whole(self) -> bool:
        """Whether the client got whole messages, so that one of ours can follow."""
        return not (self._answer_skip or self._answer_head)

    def requests(self, data: bytes) -> bytes:
        """Follow what the client sends; return what to forward: nothing from Terminate on."""
        if len(data) >= _HEADER_SIZE and not (self._request_skip or self._request_head):
            kind, length = _header(data)
            if kind == _QUERY and length + 1 == len(data) and not self._in_copy:
                # By far the most common: one statement, and all of it.
                self._asked += 1
                self._since_execute = -1
                return data
        return self._follow_requests(data)

    def _follow_requests(self, data: bytes) -> bytes:
        if self._request_head:
            data = self._request_head + data
            self._request_head = b""
        position, end = self._request_skip, len(data)
        while position + _HEADER_SIZE <= end:
            kind, length = _header(data, position)
            if kind not in _KNOWN or not 4 <= length <= _LONGEST:
                raise ProtocolViolation(f"invalid message: type {kind}, length {length}")
            if kind == _TERMINATE:
                self.terminated = True
                self._request_skip = 0
                return data[:position]
            self._request(kind)
            position += length + 1
        if position >= end:
            self._request_skip = position - end
            return data
        self._request_skip = 0
        self._request_head = data[position:]
        return data[:position]

    def answers(self, data: bytes) -> bytes:
        """Follow what the backend sends; return what to forward.

        An answer that is whole as far as its two ends tell is not followed in between. A row that
        breaks off at just the bytes of a ReadyForQuery deceives this. All that comes of it is
        that the session counts as clean or not when it is the other: a backend is never lent on
        unless it proves at its wipe that nothing else was under way.
        """
        if (
            data.endswith(_READY_IDLE)
            and self._asked - self._answered == 1
            and not (self._answer_skip or self._answer_head or self._in_copy)
        ):
            self._answered = self._asked
            self._status = IDLE
            return data
        return self._follow_answers(data)

    def _follow_answers(self, data: bytes) -> bytes:
        if self._answer_head:
            data = self._answer_head + data
            self._answer_head = b""
        position, end = self._answer_skip, len(data)
        while position + _HEADER_SIZE <= end:
            kind, length = _header(data, position)
            if kind in _TELLING:
                if kind == _READY and position + _HEADER_SIZE == end:
                    break  # its status is still to come
                self._answer(kind, data[position + _HEADER_SIZE] if kind == _READY else 0)
            position += length + 1
        if position >= end:
            self._answer_skip = position - end
            return data
        self._answer_skip = 0
        self._answer_head = data[position:]
        return data[:position]

    def rest_of_answers(self) -> bytes:
        """What was held back, when nothing comes any more."""
        return self._answer_head

    def _request(self, kind: int) -> None:
        if self._in_copy:
            self._request_in_copy(kind)
        elif kind in (_QUERY, _CALL):
            self._asked += 1
            self._since_execute = -1
        elif kind == _SYNC:
            self._asked += 1
            self._unsynced = False
            if self._since_execute >= 0:
                self._since_execute += 1
        elif kind in _UNSYNCED:
            self._unsynced = True
            self._since_execute = 0 if kind == _EXECUTE else -1

    def _request_in_copy(self, kind: int) -> None:
        """While it takes data the backend ignores Sync, and what is not named here is an error."""
        if kind not in _IN_COPY:
            self._lost_track = True
        if kind in _COPY_END:
            self._in_copy = False

    def _answer(self, kind: int, status: int) -> None:
        if kind == _READY:
            self._answered += 1
            self._status = status
            self._in_copy = False
            if self._answered > self._asked:
                self._lost_track = True
        elif kind == _COPY_IN:
            self._begin_copy()
        elif kind == _COPY_BOTH:
            self._lost_track = True
        else:
            self._in_copy = False

    def _begin_copy(self) -> None:
        """The backend takes data from here on.

        libpq sends a Sync behind the Execute, which the backend reads as part of the data and
        ignores, and another one at the end: only the latter is answered.
        """
        self._in_copy = True
        ignored = self._since_execute
        if self._asked - self._answered != (1 if ignored < 0 else ignored):
            self._lost_track = True  # who knows which of its pipelined statements this is
        if ignored >= 0:
            self._asked -= ignored
            self._unsynced = True
            self._since_execute = -1
