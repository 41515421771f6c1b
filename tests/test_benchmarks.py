"""Every benchmark runs, with next to nothing to do; no figure is judged here."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import bouncer, report
from benchmarks.__main__ import NAMES
from benchmarks.measure import Effort, Result, median_of_ratios, quantile
from tenantpool.embedded import installation

PEERS = {"hot_path": ("sqlalchemy", "asyncpg")}
"""What is not installed for the tests alone (extra: bench)."""


@pytest.fixture(autouse=True, scope="module")
def workspace() -> None:
    """It stays as long as the process, so it is no leak of the first test that needs it."""
    installation.workspace()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logger = logging.getLogger("tenantpool")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_runs(name: str) -> None:
    for peer in PEERS.get(name, ()):
        pytest.importorskip(peer)
    result: Result = import_module(f"benchmarks.{name}").run(Effort.TINY)
    assert result.name == name
    assert any(figure.target for figure in result.figures)
    assert json.loads(json.dumps(result.as_json()))["raw"]


@pytest.fixture
def result() -> Result:
    result = Result("speed", "How fast", notes=["A note."])
    result.at_most("one thing", 1.25, 1.5, " ×")
    result.holds("another", "3 | 4", "0", ok=False)
    result.show("a third", "7 µs")
    return result


def test_figures_are_judged_by_their_targets(result: Result) -> None:
    cells = [(f.value, f.target, f.verdict) for f in result.figures]
    assert cells == [("1.25 ×", "≤ 1.5 ×", "ok"), ("3 | 4", "0", "missed"), ("7 µs", None, "")]


def test_results_are_written_as_json_and_as_markdown(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(report, "PROJECT_PAGE", tmp_path / "page.md")
    report.PROJECT_PAGE.write_text("")
    report.save([result], {"CPU": "one", "cores": "2"}, Effort.FULL)
    report.publish(["speed"])
    found = json.loads((tmp_path / "speed.json").read_text())
    assert found["machine"] == {"CPU": "one", "cores": "2"}
    assert [figure["ok"] for figure in found["figures"]] == [True, False, None]
    page = (tmp_path / "README.md").read_text()
    assert "CPU one, cores 2" in page
    assert "| another | 3 / 4 | 0 | missed |" in page
    report.save([result], {}, Effort.QUICK)
    assert (tmp_path / "quick" / "speed.json").exists()


def test_the_project_page_has_what_has_a_target_and_what_is_a_headline(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(report, "PROJECT_PAGE", page)
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    page.write_text(f"before\n{report.BEGIN}old\n{report.END}after\n")
    result.show("a peer", "9 µs", headline=True)
    report.save([result], {"CPU": "one"}, Effort.FULL)
    report.publish(["speed"])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| **How fast** | | | |\n| one thing | 1.25 × | ≤ 1.5 × | ok |" in text
    assert "| a peer | 9 µs |  |  |" in text
    assert "a third" not in text


def test_a_missing_pgbouncer_is_said(
    result: Result, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bouncer, "program", lambda: None)
    bouncer.note(result)
    skipped = "skipped: PgBouncer is not installed (apt install pgbouncer)"
    assert result.figures[-1].value == skipped
    assert skipped in capsys.readouterr().err


def test_ratios_are_of_runs_side_by_side() -> None:
    assert median_of_ratios([2, 4, 30], [1, 2, 3]) == 2
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile([], 0.99) == 0
