"""Temporary files in memory, where there is room for them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 2 << 30
"""Bytes; a run of two workers needs a fourth of them. Containers often have only some MB there."""


def keep_files_in_memory() -> None:
    """Let this process, and those it starts, make temporary files in memory.

    Tests make and drop databases all the time, of some 300 files each: on some file systems that
    costs more than all that happens in them. Does nothing where TMPDIR is set.
    """
    try:
        place = os.statvfs(MEMORY)
    except OSError:
        return
    if os.environ.get("TMPDIR"):
        return
    has_room = place.f_bavail * place.f_frsize >= ROOM
    if has_room and not place.f_flag & os.ST_NOEXEC and os.access(MEMORY, os.W_OK | os.X_OK):
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # pytest has asked before
