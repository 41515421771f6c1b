"""The systemd unit, by systemd's own tools."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tenantpool.config.service import Service
from tests.deploy.files import DEPLOY

UNIT = DEPLOY / "systemd" / "tenantpool.service"
EXPOSURE = 2.0
"""What systemd-analyze may say at most, of 10: here its OK ends. Versions count differently."""

_OLDEST = 250
"""The first systemd that knows what the unit and these tests ask of it."""


def version() -> int:
    """Of systemd; 0: there is none."""
    if shutil.which("systemd-analyze") is None:
        return 0
    done = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True)
    found = re.search(r"systemd (\d+)", done.stdout)
    return int(found[1]) if found is not None else 0


needs_systemd = pytest.mark.skipif(
    version() < _OLDEST, reason=f"there is no systemd-analyze of version {_OLDEST} or newer"
)


class Unit(configparser.RawConfigParser):
    """A unit file: names have capitals, and what stands twice is of no interest here."""

    def __init__(self) -> None:
        super().__init__(strict=False)
        self.read(UNIT)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, timeout=60
    )


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path):
    # It looks whether the program is there: here, another one is.
    text = UNIT.read_text().replace("/opt/tenantpool/bin/tenantpool", sys.executable)
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    done = analyze("verify", "--man=no", "--recursive-errors=no", str(copy))
    assert done.returncode == 0, done.stderr


@needs_systemd
def test_systemd_finds_little_that_the_unit_exposes():
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE * 10:g}", str(UNIT))
    assert done.returncode == 0, done.stdout


def test_the_unit_waits_for_leases_longer_than_the_service_does():
    grace = Service().drain_grace
    assert int(Unit()["Service"]["TimeoutStopSec"]) >= grace + 10


def test_exit_codes_mean_to_systemd_what_they_mean():
    service = Unit()["Service"]
    assert service["RestartPreventExitStatus"] == "2"  # the configuration is wrong
    assert service["SuccessExitStatus"] == "3"  # leases had to be cut
