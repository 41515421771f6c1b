class Framing:
    """tenantpool.gateway.framing.Framing, in C: the same, but that it follows every message."""

    def requests(self, data: bytes, /) -> bytes: ...
    def answers(self, data: bytes, /) -> bytes: ...
    def rest_of_answers(self) -> bytes: ...
    @property
    def is_clean(self) -> bool: ...
    @property
    def answers_whole(self) -> bool: ...
    @property
    def terminated(self) -> bool: ...

class Engine:
    """A thread that carries bytes between clients and backends. Raises OSError if it can't start.

    Nothing here blocks for longer than the thread takes for one piece of data. Once it is closed,
    everything but ``close`` raises ValueError.
    """

    def fileno(self) -> int:
        """Readable while ``ended`` has something to tell."""

    def join(self, client: int, backend: int, greeting: bytes, ahead: bytes, /) -> int:
        """Link duplicates of these sockets; return the link's key, which no other link ever has.

        The client gets *greeting* first; *ahead* is what it has sent so far. Raises OSError.
        """

    def part(self, key: int, quietly: bool = False, /) -> tuple[bool, bool, str, bytes] | None:
        """Let go of both sockets; they are not touched any more. Raises KeyError if that was done.

        With *quietly* only if the client has sent nothing and has got everything; else None.

        Return whether the backend is at rest and got all that the client has sent; whether the
        client gets whole messages, so that one of ours can follow; what was wrong with what the
        client has sent, or ""; and what waits to be sent to the client.
        """

    def ended(self) -> list[int]:
        """The links that have ended by themselves since the last call. They are to be parted."""

    def close(self) -> None:
        """End the thread, part all links. Again does nothing."""
