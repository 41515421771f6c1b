"""Another process that connects to PostgreSQL by itself, as a worker with a direct lease does.

Run as a program, it is that process: each line is the number of a connection and what to run on it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import TracebackType
from typing import Self

import psycopg


class Connector:
    """Starts the process, which knows *conninfo*; ends it with the block."""

    def __init__(self, conninfo: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, conninfo],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __repr__(self) -> str:
        return f"<Connector {self._process.pid}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, statement: str, on: int = 0) -> str:
        """Run one on a connection, made at its first use. Blocks; return a value or the error.

        One that was ended before it was made is not made again: OperationalError.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{on} {statement}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def stop(self) -> None:
        """Stop it as ``kill -STOP`` does; blocks until it has stopped."""
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def go_on(self) -> None:
        """Let it go on."""
        os.kill(self._process.pid, signal.SIGCONT)


def obey(conninfo: str) -> None:
    """Run what is ordered."""
    connections: dict[str, psycopg.Connection | None] = {}
    for line in sys.stdin:
        number, _, statement = line.rstrip("\n").partition(" ")
        try:
            if number not in connections:
                connections[number] = None
                connections[number] = psycopg.connect(conninfo, autocommit=True)
            if (conn := connections[number]) is None:
                raise psycopg.OperationalError("it was not made")
            cursor = conn.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            print(row[0] if row else "", flush=True)
        except psycopg.Error as error:
            print(type(error).__name__, flush=True)


if __name__ == "__main__":
    obey(sys.argv[1])
