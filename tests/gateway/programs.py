"""Programs that tests run as clients: where they are, or why there are none."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from glob import glob
from pathlib import Path

import pytest

TIMEOUT = 60.0  # seconds that a program may run
INSTALL_TIMEOUT = 60.0
NODE_PACKAGES = ("pg@8", "pg-copy-streams@6")

_HERE = Path(__file__).parent
_PROJECT = _HERE.parent.parent


def find(name: str) -> str:
    """The path of one of PostgreSQL's programs; skips the test if there is none."""
    folders = [os.environ.get("PATH", ""), *sorted(glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        pytest.skip(f"{name} is not installed: apt install postgresql-client postgresql-contrib")
    return found


async def run(command: list[str], environment: Mapping[str, str], text: str = "") -> str:
    """Run a program to its end; return what it wrote. It must succeed."""
    done = await asyncio.to_thread(
        subprocess.run,
        command,
        input=text,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def node_modules() -> Path:
    """A folder with node-postgres, installed when first needed; skips the test if it can't be."""
    if problem := _install_node_modules():
        pytest.skip(problem)
    return _node_folder() / "node_modules"


def _node_folder() -> Path:
    base = _PROJECT / ".venv" if (_PROJECT / ".venv").is_dir() else Path(tempfile.gettempdir())
    return base / f"tenantpool-node-{os.getuid()}"


@cache
def _install_node_modules() -> str:
    """Return why it can't be done, or an empty text."""
    npm, folder = shutil.which("npm"), _node_folder()
    if npm is None or shutil.which("node") is None:
        return "node and npm are not installed, so node-postgres is not tested"
    if (folder / "done").exists():
        return ""
    folder.mkdir(exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--fetch-retries=0"]
    try:
        done = subprocess.run(
            [*command, "--prefix", str(folder), *NODE_PACKAGES],
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"npm could not install node-postgres in {INSTALL_TIMEOUT:g} s"
    if done.returncode:
        return f"npm could not install node-postgres: {done.stderr.strip()[:300]}"
    (folder / "done").touch()
    return ""


def node_script() -> Path:
    return _HERE / "client.js"
