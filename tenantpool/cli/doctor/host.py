"""This host: file descriptors, the service's folder, its certificate."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

from tenantpool.cli.doctor.check import Check, ok, problem, warning
from tenantpool.config import Settings
from tenantpool.config.service import AUTO
from tenantpool.errors import ConfigError

_FOR_A_CONNECTION = 3
"""File descriptors: its socket, a duplicate while it ends, its client's at the gateway."""
_FOR_A_WORKER = 2
_FOR_ITSELF = 64
"""The program's own: libraries, listening sockets, logs."""


def examine_host(settings: Settings, capacity: int) -> Iterator[Check]:
    """Look at this host, for *capacity* connections in all. Does not block."""
    yield _files(settings, capacity)
    folder = folder_of(settings)
    if folder is not None:
        yield _folder(folder)
    if settings.service.tls is not None:
        yield _certificate(settings)


def folder_of(settings: Settings) -> Path | None:
    """Where the service's sockets are; None: it has none."""
    from tenantpool.service.folder import default_folder

    name = settings.service.folder
    if name is None:
        return None
    return default_folder() if name == AUTO else Path(name)


def _files(settings: Settings, capacity: int) -> Check:
    subject = "file descriptors"
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    least = _FOR_ITSELF + _FOR_A_CONNECTION * capacity
    workers = settings.service.max_sessions
    wanted = least + _FOR_A_WORKER * workers
    seen = (
        f"{soft:,} may be open here; {capacity} connections and {workers:,} workers (max_sessions)"
        f" need {wanted:,}"
    )
    if soft == resource.RLIM_INFINITY:
        return ok(subject, "there is no limit")
    remedy = f"ulimit -n {wanted} before the start, or LimitNOFILE={wanted} in the systemd unit"
    if soft < least:
        return problem(subject, seen, remedy)
    if soft < wanted:
        fit = (soft - least) // _FOR_A_WORKER
        return warning(subject, seen, f"{remedy}; or service.max_sessions: {max(1, fit)}")
    return ok(subject, seen)


def _folder(path: Path) -> Check:
    from tenantpool.service.folder import Folder

    subject = "folder of the sockets"
    try:
        Folder(path).check()
    except FileNotFoundError:
        return _folder_to_be(subject, path)
    except ConfigError as error:
        return problem(subject, error.problem, error.fix)
    except OSError as error:
        return problem(subject, f"{path}: {error.strerror}", "service.folder: name another one")
    return ok(subject, f"{path} is ours, and not open to everybody")


def _folder_to_be(subject: str, path: Path) -> Check:
    """It is made when the service starts, with the folders above it."""
    above = next(folder for folder in path.parents if folder.exists())
    if os.access(above, os.W_OK | os.X_OK):
        return ok(subject, f"{path} is made when the service starts")
    return problem(
        subject,
        f"{path} is not there, and cannot be made in {above}",
        "make it as root for the service's user, or set service.folder to another one",
    )


def _certificate(settings: Settings) -> Check:
    from tenantpool.service.tls import Certificates

    subject = "the service's certificate"
    assert settings.service.tls is not None
    try:
        Certificates(settings.service.tls)
    except ConfigError as error:
        return problem(subject, error.problem, error.fix or "see service.tls")
    return ok(subject, f"{settings.service.tls.certificate} fits its key")
