"""The command line as a user sees it: output, errors in one line, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tenantpool import cli

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "config" / "tenantpool.yaml")


class Run:
    """Runs the command line in this process and keeps what it said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(self, *words: str) -> tuple[int | str | None, str, str]:
        """Exit code, output and errors of ``tenantpool`` with these *words*."""
        self._monkeypatch.setattr(sys, "argv", ["tenantpool", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = self._capfd.readouterr()
        return caught.value.code, out, err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    for name in ("TENANTPOOL_CONFIG", "TENANTPOOL_SECRETS_DIR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Run(monkeypatch, capfd)


def test_check_config_prints_what_is_in_force_as_yaml(run: Run) -> None:
    code, out, err = run("check-config", EXAMPLE)
    assert (code, err) == (0, "")
    assert yaml.safe_load(out)["tiers"]["enterprise"]["cap"] == 50
    assert "\x1b" not in out


def test_check_config_sums_up_tiers_and_databases(run: Run) -> None:
    _, out, _ = run("check-config", EXAMPLE)
    rows = [line.split()[1:] for line in out.splitlines() if line.startswith("#")]
    assert ["enterprise", "10", "50", "0", "4", "10", "1"] in rows
    assert ["main", "auto", "5", "4", "105"] in rows


def test_check_config_hides_passwords(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("databases: {main: {conninfo: 'postgresql://app:geheim@db'}}")
    code, out, err = run("check-config", str(file))
    assert code == 0
    assert "password=***" in out
    assert "geheim" not in out + err


def test_quiet_prints_nothing_if_all_is_right(run: Run) -> None:
    assert run("check-config", "--quiet", EXAMPLE) == (0, "", "")


def test_every_mistake_is_one_line_on_stderr_and_the_code_is_2(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "t.yaml"
    file.write_text("databases:\n  main: {conninfo: ''}\ntiers: {pro: {cap: 0, weight: 0}}\n")
    code, out, err = run("check-config", "-q", str(file))
    assert (code, out) == (2, "")
    first, second = err.splitlines()
    assert first.startswith(f"error: {file}:3: tiers.pro.cap: should be greater than")
    assert second.startswith(f"error: {file}:3: tiers.pro.weight: should be greater than")


def test_without_a_file_the_environment_names_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run("check-config")
    assert (code, err) == (2, "error: config/tenantpool.yaml: there is no such file\n")
    monkeypatch.setenv("TENANTPOOL_CONFIG", EXAMPLE)
    assert run("check-config", "-q")[0] == 0


def test_secrets_are_read_from_the_folder_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "databases__main__pasword").write_text("geheim")
    code, _, err = run("check-config", EXAMPLE, "--secrets-dir", str(tmp_path))
    assert code == 2
    assert err.startswith("error: secret databases__main__pasword: unknown key")


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["disks", "--cores", "8", "--spindles", "1"], {"connections": 17}),
        (["wait", "--cores", "8", "--wait", "90", "--service", "10"], {"connections": 80}),
        (
            ["rate", "--rps", "100", "--query", "0.05", "--limit", "200"],
            {"connections": 6, "min_size": 5, "overflow": 10},
        ),
        (["little", "--rate", "200", "--held", "0.02"], {"mean_in_use": 4, "connections": 4}),
    ],
)
def test_size_gives_formula_inputs_and_result(
    run: Run, words: list[str], result: dict[str, float]
) -> None:
    code, out, _ = run("size", *words)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["formula", "inputs", "result", "note"]
    assert "result   " + ", ".join(f"{k} = {v}" for k, v in result.items()) in out
    answer = json.loads(run("size", *words, "--json")[1])
    assert answer["result"] == result
    assert set(answer) == {"formula", "inputs", "result", "note"}


def test_size_rate_says_that_its_source_miscounts(run: Run) -> None:
    _, out, _ = run("size", "rate", "--rps", "100", "--query", "0.05", "--limit", "200")
    assert "claims 17/50/25" in out
    assert "its own formula gives 6" in out


def test_a_value_no_formula_can_take_is_wrong_usage(run: Run) -> None:
    code, out, err = run("size", "wait", "--cores", "8", "--wait", "90", "--service", "0")
    assert (code, out) == (2, "")
    assert "service must be above 0, not 0" in err


def test_help_shows_examples_and_exit_codes(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for words in ("tenantpool check-config config/tenantpool.yaml", "Exit codes: 0 it worked"):
        assert words in out


def test_version_is_shown(run: Run) -> None:
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("tenantpool ")


def test_the_commands_load_what_is_heavy_only_when_they_run() -> None:
    script = (
        "import sys, tenantpool; before = set(sys.modules); import tenantpool.cli\n"
        "heavy = ('pydantic', 'psycopg', 'yaml', 'rich.syntax', 'rich.table', 'importlib.metadata',"
        " 'grpc', 'uvloop', 'google.protobuf')\n"
        "print(*(m for m in heavy if m in sys.modules and m not in before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_plan_compares_two_files_without_a_service(run: Run, tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text("databases: {main: {conninfo: host=x}}\ntenants: {acme: {tier: pro}}\n")
    new.write_text(old.read_text() + "tiers: {pro: {cap: 30}}\n")
    assert run("plan", str(old), "--against", str(old)) == (0, "nothing changes\n", "")
    code, out, _ = run("plan", str(new), "--against", str(old))
    assert (code, out) == (4, "tier pro: cap 25 → 30 (1 tenant)\n")
    new.write_text(new.read_text() + "service: {name: other}\n")
    code, out, _ = run("plan", str(new), "--against", str(old))
    assert code == 5
    assert "service.name: was tenantpool and is other: needs a restart\n" in out
    new.write_text("tiers: {}")
    code, out, err = run("plan", str(new), "--against", str(old))
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {new}:")
    code, _, err = run("plan", "--against", str(old))
    assert code == 2
    assert "needs a FILE" in err


@pytest.mark.parametrize("command", ["plan", "reload", "tier", "suspend", "unsuspend", "overrides"])
def test_what_steers_a_service_explains_itself(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    for word in ("Examples", f"tenantpool {command}", "--target", "--token-file", "--tls-ca"):
        assert word in out
