"""Compile the gateway's splice: in place by ``python tools/build_splice.py``, and for every wheel.

Without Linux, a C compiler and Python's headers there is none; the gateway works without it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = Path("tenantpool/gateway/native")
MODULE = Path("tenantpool/gateway/_splice.abi3.so")
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-fvisibility=hidden")
LINKED = ("-fPIC", "-pthread", "-shared")
ABI = "cp311-abi3"
"""The oldest Python that can load it: that of Py_LIMITED_API in module.c."""


def compiler() -> list[str]:
    """CC of the environment, else what this Python was compiled with, else cc."""
    chosen = os.environ.get("CC")
    known = shlex.split(chosen or sysconfig.get_config_var("CC") or "cc")
    return known if chosen or shutil.which(known[0]) else ["cc"]


def compile_splice(root: Path) -> str:
    """Compile into the source tree *root*. Return why that was not possible, or nothing.

    A module that was there before is replaced, or removed: it never is of other sources.
    """
    (root / MODULE).unlink(missing_ok=True)
    if sys.platform != "linux":
        return f"{sys.platform} has no epoll"
    sources = [str(path) for path in sorted((root / SOURCES).glob("*.c"))]
    extra = shlex.split(os.environ.get("CFLAGS", ""))
    include = f"-I{sysconfig.get_path('include')}"
    fresh = (root / MODULE).with_suffix(f".{os.getpid()}.so")
    command = [*compiler(), *FLAGS, *LINKED, *extra, include, *sources, "-o", str(fresh)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    if done.returncode or not fresh.exists():
        fresh.unlink(missing_ok=True)
        return f"{shlex.join(command)} ended with code {done.returncode}\n{done.stdout}"
    fresh.replace(root / MODULE)
    return ""


class SpliceHook(BuildHookInterface[Any]):
    """Adds the splice to a wheel, also to an editable one."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """What hatchling calls before it builds."""
        if problem := compile_splice(Path(self.root)):
            self.app.display_warning(f"the gateway's splice is left out: {problem}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["artifacts"].append(str(MODULE))
        build_data["pure_python"] = False
        build_data["tag"] = f"{ABI}-{platform}"


if __name__ == "__main__":
    if problem := compile_splice(Path(__file__).parents[1]):
        print(f"no splice, the gateway relays in Python: {problem}", file=sys.stderr)
