"""Frames of the protocol, as one sends them who has a connection's socket and no libpq."""

from __future__ import annotations

import socket
import struct


def frame(kind: bytes, body: bytes = b"") -> bytes:
    """One message of that *kind*."""
    return kind + struct.pack("!i", len(body) + 4) + body


def query(text: str) -> bytes:
    """Run statements; the server says when it is ready again."""
    return frame(b"Q", text.encode() + b"\0")


def extended(text: str) -> bytes:
    """Parse, bind and execute a statement, without the Sync that would end it."""
    return (
        frame(b"P", b"\0" + text.encode() + b"\0\0\0")
        + frame(b"B", b"\0\0\0\0\0\0\0\0")
        + frame(b"E", b"\0\0\0\0\0")
    )


COPY_DATA = frame(b"d", b"1\n")
COPY_DONE = frame(b"c")
FLUSH = frame(b"H")
SYNC = frame(b"S")
READY = b"Z\0\0\0\5"


def converse(end: socket.socket, text: str) -> bytes:
    """Run statements on a connection's socket; blocks until the server is ready again."""
    end.setblocking(True)
    end.sendall(query(text))
    answer = b""
    while answer[-6:-1] != READY:
        answer += end.recv(65536)
    end.setblocking(False)
    return answer
