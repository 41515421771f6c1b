"""The image: what is built gets all it needs and nothing else, and its health check is right."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from tests.cli.serving import Serving
from tests.deploy.files import DEPLOY, ROOT, UID

FOLDER = DEPLOY / "docker"
DOCKERFILE = FOLDER / "Dockerfile"
TEXT = DOCKERFILE.read_text()


def instructions(name: str) -> list[str]:
    """The arguments of every *name* in the Dockerfile."""
    joined = TEXT.replace("\\\n", " ")
    return re.findall(rf"^{name} +(.*)$", joined, re.MULTILINE)


def health(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / "health.py"), *words],
        env={k: v for k, v in os.environ.items() if k != "TENANTPOOL_TARGET"} | environ,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_hadolint_accepts_the_dockerfile() -> None:
    program = Path(sysconfig.get_path("scripts"), "hadolint")
    done = subprocess.run([program, DOCKERFILE], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_a_number_and_without_a_shell() -> None:
    assert instructions("USER") == [f"{UID}:{UID}"]
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    for name in ("ENTRYPOINT", "CMD"):
        (words,) = instructions(name)
        assert isinstance(json.loads(words), list)


def test_what_gets_into_the_build_is_enough_to_build(tmp_path: Path) -> None:
    lines = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    for name in (line[1:] for line in lines if line.startswith("!")):
        source, target = ROOT / name, tmp_path / "src" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        elif source.exists():
            shutil.copy(source, target)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*build, "--wheel-dir", tmp_path / "out", tmp_path / "src"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wheel,) = (tmp_path / "out").iterdir()
    assert wheel.name.startswith(f"tenantpool-{project['version']}-")


def test_health_says_whether_it_serves(tmp_path: Path, served: Serving) -> None:
    for done in (health(served.target), health(TENANTPOOL_TARGET=served.target)):
        assert (done.returncode, done.stdout) == (0, f"{served.target}/grpc.sock: SERVING\n")
    gone = health(f"unix:{tmp_path}")
    assert (gone.returncode, gone.stdout) == (1, f"unix:{tmp_path}/grpc.sock: UNAVAILABLE\n")
    assert gone.stderr == ""
