"""What the documents claim can be checked: links lead somewhere, examples are real code."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from google.rpc.code_pb2 import Code

from benchmarks.report import BEGIN, END, FOLDER
from tenantpool import Settings, __version__, errors, status
from tenantpool.config import Tier

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "deploy/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
_FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    found = _FENCE.findall(page.read_text())
    return [dedent(text) for kind, text in found if kind == language]


def anchors(page: Path) -> set[str]:
    """The anchors that headings of a page make."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for path, anchor in _LINK.findall(page.read_text()):
        target = (page.parent / path) if path else page
        assert target.exists(), f"{page.name} links to {path}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to #{anchor}"


def test_every_picture_is_shown_and_small():
    shown = {
        (page.parent / path).resolve()
        for page in PAGES
        for path in re.findall(r"[\w./-]+\.png", page.read_text())
    }
    pictures = set((ROOT / "docs" / "images").iterdir())
    assert shown == pictures
    assert all(picture.stat().st_size < 200_000 for picture in pictures)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples_are_python(page: Path):
    for block in blocks(page, "python"):
        ast.parse(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_json_examples_are_json(page: Path):
    for block in blocks(page, "json"):
        json.loads(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_names_that_examples_import_exist(page: Path):
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = __import__(node.module or "", fromlist=["*"])
                assert all(hasattr(module, alias.name) for alias in node.names)


def test_yaml_examples_are_valid_configuration():
    for block in blocks(ROOT / "README.md", "yaml"):
        Settings(**yaml.safe_load(block))


def test_the_example_configuration_is_valid():
    settings = Settings.load(ROOT / "config" / "tenantpool.yaml", environ={})
    assert {"basic", "pro", "enterprise"} <= set(settings.tiers)


def test_the_tree_of_errors_in_the_docstring_is_the_tree():
    assert errors.__doc__ is not None
    for name in errors.__all__:
        kind = getattr(errors, name)
        if issubclass(kind, Exception):
            assert name in errors.__doc__, f"the docstring does not show {name}"


def test_every_field_of_a_tier_is_described():
    for name, info in Tier.model_fields.items():
        assert info.description, f"tiers.*.{name} has no description"


def test_every_reason_is_in_the_table_of_errors():
    page = (ROOT / "docs" / "service.md").read_text()
    for cls, kind in status._KINDS.items():
        row = f"| `{kind.reason}` | {Code.Name(kind.code)} |"
        assert row in page, f"docs/service.md has no row {row}"
        if cls not in (errors.AcquireTimeout, errors.ConfigErrors):
            assert f"`{cls.__name__}`" in page


def test_every_file_of_the_core_is_in_the_architecture():
    page = (ROOT / "docs" / "architecture.md").read_text()
    for file in (ROOT / "tenantpool" / "core").glob("[a-z]*.py"):
        if file.name != "actions.py":
            assert f"`{file.name}`" in page, f"docs/architecture.md leaves out {file.name}"


def test_the_figures_are_those_of_the_last_full_run():
    _, _, rest = (ROOT / "README.md").read_text().partition(BEGIN)
    shown, _, _ = rest.partition(END)
    run = (FOLDER / "README.md").read_text().splitlines()
    rows = [row for row in shown.splitlines()[4:] if not row.startswith("| **")]
    assert rows
    assert [row for row in rows if row not in run] == []


def test_the_changelog_has_this_version():
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_folder_of_the_house_is_in_the_architecture():
    page = (ROOT / "docs" / "architecture.md").read_text()
    for folder in (ROOT / "tenantpool").iterdir():
        if folder.is_dir() and folder.name != "__pycache__":
            assert f"  {folder.name}/" in page, f"docs/architecture.md leaves out {folder.name}/"
