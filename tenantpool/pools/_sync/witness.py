# Generated from ../_async/witness.py by tools/generate_sync.py: do not edit.
"""Knowing that a backend is gone."""

from __future__ import annotations

import socket
from contextlib import suppress

from tenantpool.pools.watch import Sockets

_CHUNK = 65536


class Witness(Sockets):
    """Sees the end of a connection's backend, however far the connection got.

    A backend keeps its socket open until its process has exited, and by then it has left
    ``pg_stat_activity``. So the end of file on a duplicate of the socket says that it is gone.
    """

    __slots__ = ()

    def hang_up(self) -> None:
        """Let nobody send anything more, whichever processes have the socket. Does not block."""
        for descriptor in self._descriptors:
            end = socket.socket(fileno=descriptor)
            with suppress(OSError):  # the server has hung up already
                end.shutdown(socket.SHUT_WR)
            end.detach()

    def wait_until_gone(self, timeout: float) -> bool:
        """Hang up, and wait until the backend is gone, for at most *timeout* seconds (above 0).

        Return whether it is; call again if not. Of several sockets each has that time.
        """
        self.hang_up()
        while self._descriptors:
            end = socket.socket(fileno=self._descriptors.pop())
            gone = False
            try:
                gone = self._is_gone(end, timeout)
            finally:
                if gone:
                    end.close()
                else:
                    self._descriptors.append(end.detach())
            if not gone:
                return False
        return True

    def _is_gone(self, end: socket.socket, timeout: float) -> bool:
        try:
            self._read_to_end(end, timeout)
        except TimeoutError:
            return False
        except OSError:
            pass  # reset by the server: there is nobody at the other end any more
        return True

    def _read_to_end(self, end: socket.socket, timeout: float) -> None:
        """Read until the end of file; TimeoutError if it does not come in *timeout* seconds."""
        end.settimeout(timeout)
        while end.recv(_CHUNK):
            pass
