"""The examples of the documents, run as they stand, against a service as a newcomer starts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.serving import LONGEST, ROOT, Serving
from tests.test_docs import blocks

README = ROOT / "README.md"
ANY_LANGUAGE = ROOT / "docs" / "any-language.md"

needs_psql = pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")


@dataclass
class Shell:
    """A terminal beside the service, where its addresses are those that the pages name."""

    service: Serving
    environ: dict[str, str]

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run *script* with the addresses of the pages replaced by the real ones."""
        said = "\n".join(self.service.said)
        grpc = re.findall(r"leases: .* (\S+)", said)[0]
        port = re.findall(r"gateway: .* port (\d+)", said)[0]
        script = script.replace("127.0.0.1:7432", grpc).replace("-p 6432", f"-p {port}")
        return subprocess.run(
            ["sh", "-euc", script],
            cwd=self.service.home,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    # Nothing but its ports: they must be free.
    with Serving({"service": {"grpc_port": 0, "gateway_port": 0, "http_port": 0}}) as service:
        bin = service.home / "bin"
        bin.mkdir()
        add_program(bin / "tenantpool", "-m tenantpool")
        if shutil.which("grpcurl") is None:
            add_program(bin / "grpcurl", str(ROOT / "tests" / "support" / "grpcurl.py"))
        environ = {
            "PATH": f"{bin}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TENANTPOOL_TARGET": service.target,
        }
        yield Shell(service, service.environ | environ)


def add_program(path: Path, what: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {what} "$@"\n')
    path.chmod(0o755)


def commands(page: Path, program: str) -> Iterator[str]:
    """What a page types at a prompt."""
    for block in blocks(page, "console"):
        for line in block.splitlines():
            if line.startswith(f"$ {program} "):
                yield line.removeprefix("$ ")


@needs_psql
@pytest.mark.skipif(shutil.which("pgbench") is None, reason="pgbench is not installed")
def test_the_readme_leads_to_a_lease_in_another_process(shell: Shell) -> None:
    typed = list(commands(README, "tenantpool exec"))
    assert typed
    for line in typed:
        done = shell.run(line)
        assert done.returncode == 0, (line, done)
    (block,) = (text for text in blocks(README, "python") if "LeaseClient" in text)
    (shell.service.home / "worker.py").write_text(
        block.replace("unix:/run/tenantpool", shell.service.target)
    )
    assert shell.run(f"{sys.executable} worker.py").returncode == 0
    found = shell.run("tenantpool exec acme -- psql -Atc 'select item from orders'")
    assert found.stdout == "anvil\n"


@needs_psql
def test_the_calls_of_the_page_for_any_language(shell: Shell) -> None:
    reflection, lease, refusal = blocks(ANY_LANGUAGE, "sh")
    shown = shell.run(reflection)
    assert "tenantpool.v1.LeaseService\n" in shown.stdout, shown
    assert "rpc AcquireLease" in shown.stdout
    leased = shell.run(lease)
    assert leased.returncode == 0, leased
    assert " acme\n(1 row)" in leased.stdout
    assert shell.service.leases() == []
    refused = shell.run(refusal)
    assert refused.returncode == 64 + 5
    assert "nobody: UNKNOWN_TENANT" in refused.stderr


def has_node_postgres() -> bool:
    node = shutil.which("node")
    if node is None:
        return False
    return subprocess.run([node, "-e", "require('pg')"], capture_output=True).returncode == 0


@pytest.mark.skipif(not has_node_postgres(), reason="node-postgres is not in NODE_PATH")
def test_node_postgres_connects_by_its_environment(shell: Shell) -> None:
    (app,) = blocks(ANY_LANGUAGE, "js")
    (shell.service.home / "app.js").write_text(app)
    (line,) = (line for line in commands(ANY_LANGUAGE, "tenantpool exec") if "app.js" in line)
    done = shell.run(line)
    assert (done.returncode, done.stdout) == (0, "acme\n"), done
