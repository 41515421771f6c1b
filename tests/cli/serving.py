"""``tenantpool serve`` and ``tenantpool exec`` as processes, as a user runs them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import yaml

from tenantpool.v1.admin_service_pb2 import GetTenantRequest, ListLeasesRequest
from tenantpool.v1.admin_service_pb2_grpc import AdminServiceStub

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tenantpool"]
LONGEST = 60.0


def environment(**more: str) -> dict[str, str]:
    """The environment of this process, without what would say something to ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("TENANTPOOL_", "PG"))} | more


class Serving:
    """A service that runs in a folder of its own; ended, and its folder removed, with the block."""

    def __init__(
        self, settings: dict[str, Any] | None = None, *words: str, from_volume: bool = False
    ) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="tp-", dir="/tmp"))
        self.folder = self.home / "run" / "tenantpool"
        self.environ = environment(
            XDG_RUNTIME_DIR=str(self.home / "run"), XDG_STATE_HOME=str(self.home / "state")
        )
        self.settings = settings or {}
        self.said: list[str] = []
        self.config = self.home / "tenantpool.yaml"
        self._published = 0
        self._words = list(words)
        if settings is not None:
            text = yaml.safe_dump(settings)
            if from_volume:
                self.publish(text)
                self.config.symlink_to("..data/tenantpool.yaml")
            else:
                self.config.write_text(text)
            self._words += ["--config", str(self.config)]
        self._log = self.home / "log"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.clean_up()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clean_up()

    @property
    def target(self) -> str:
        return f"unix:{self.folder}"

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> None:
        """Blocks until it is ready."""
        with self._log.open("a") as log:
            command = [*COMMAND, "serve", *self._words]
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self.environ, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.wait_for("ready")

    def run_again(self) -> subprocess.CompletedProcess[str]:
        """Try to start a second one in the same folder."""
        return subprocess.run(
            [*COMMAND, "serve", *self._words],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )

    def wait_for(self, words: str) -> None:
        """Blocks until it has said a line that contains *words*."""
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line.rstrip())
            if words in line:
                return
        raise AssertionError(f"it has ended: {self.said} {self.log}")

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Blocks until it has ended; return its exit code."""
        process, self._process = self._process, None
        assert process is not None
        rest, _ = process.communicate(timeout=LONGEST)
        self.said += rest.splitlines()
        return process.returncode

    def stop(self) -> int:
        """As an init system does; return its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def leases(self) -> list[Any]:
        """The leases in use, as an administrator sees them."""
        with self._admin() as admin:
            return list(admin.ListLeases(ListLeasesRequest()).leases)

    def waiting(self, tenant: str) -> int:
        """How many requests of *tenant* wait."""
        with self._admin() as admin:
            return int(admin.GetTenant(GetTenantRequest(tenant=tenant)).tenant.waiting)

    def cap(self, tenant: str) -> int:
        """The most connections that *tenant* may have in use."""
        with self._admin() as admin:
            return int(admin.GetTenant(GetTenantRequest(tenant=tenant)).tenant.cap)

    def publish(self, text: str) -> None:
        """Make this the configuration as Kubernetes does: a new folder, and a link to it."""
        self._published += 1
        folder = self.home / f"..{self._published}"
        folder.mkdir()
        (folder / "tenantpool.yaml").write_text(text)
        link = self.home / "..data_tmp"
        link.symlink_to(folder.name)
        link.replace(self.home / "..data")

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run ``tenantpool`` with these *words*."""
        return subprocess.run(
            [*COMMAND, *words],
            cwd=ROOT,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )

    def exec(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run ``tenantpool exec`` with these *words*."""
        return self.run("exec", *words, **environ)

    def begin_exec(self, *words: str) -> subprocess.Popen[str]:
        """Start it, and do not wait. Use it as a context manager, whose end closes its stdin."""
        return subprocess.Popen(
            [*COMMAND, "exec", *words],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def _admin(self) -> Iterator[Any]:
        with grpc.insecure_channel(f"unix:{self.folder}/grpc.sock") as channel:
            yield AdminServiceStub(channel)  # type: ignore[no-untyped-call]

    def clean_up(self) -> None:
        """End it as ``kill -9`` does, if it still runs, and remove its folder."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        shutil.rmtree(self.home)
