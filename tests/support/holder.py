"""Another process that has a connection's socket and speaks the protocol on it.

Run as a program, it is that process: it obeys what comes on the descriptor that it is given.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from types import TracebackType
from typing import Self

_SENT = b"sent"
_MOST = 65536


class Holder:
    """Starts the process and hands it a duplicate of *end*; ends it with the block."""

    def __init__(self, end: socket.socket) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, __file__, str(number)]
            self._process = subprocess.Popen(command, pass_fds=[number])
        socket.send_fds(self._control, [b"!"], [end.fileno()])

    def __repr__(self) -> str:
        return f"<Holder {self._process.pid}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._control.close()
        self._process.kill()
        self._process.wait()

    def send(self, data: bytes) -> str:
        """Let it send *data*. Blocks until it has; return the name of the error it met, or ""."""
        self._control.send(data)
        answer = self._control.recv(_MOST)
        return "" if answer == _SENT else answer.decode()

    def stop(self) -> None:
        """Stop it as ``kill -STOP`` does; blocks until it has stopped."""
        os.kill(self._process.pid, signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)

    def go_on(self) -> None:
        """Let it go on."""
        os.kill(self._process.pid, signal.SIGCONT)


def obey(control: socket.socket) -> None:
    """Send what is ordered, until there is nobody to give orders."""
    _, (number, *_), _, _ = socket.recv_fds(control, 1, 1)
    with socket.socket(fileno=number) as end:
        end.setblocking(True)
        while data := control.recv(_MOST):
            try:
                end.sendall(data)
            except OSError as error:
                control.send(type(error).__name__.encode())
            else:
                control.send(_SENT)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        obey(orders)
