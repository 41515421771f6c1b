"""Who may know whom: imports go down the layers, and never up."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenantpool

ROOT = Path(tenantpool.__file__).parent

TOOLS = {"__version__", "blind", "concurrency", "errors", "forks", "journal", "libpq", "tracing"}
"""Modules beside the layers, which any of them but the core may use."""

MANAGER = {"config", "core", "insight", "pools"}
SERVICE = {*MANAGER, "gateway", "manager", "observe", "status", "v1"}

MAY_KNOW = {
    "core": {"errors"},
    "insight": {"v1", *TOOLS},
    "config": {"core", "insight", *TOOLS},
    "pools": {"core", *TOOLS},
    "manager": {"sizing", *MANAGER, *TOOLS},
    "gateway": TOOLS,
    "service": {*SERVICE, *TOOLS},
    "observe": {"service", *SERVICE, *TOOLS} - {"gateway"},
    "client": {"insight", "status", "v1", *TOOLS},
    "embedded": TOOLS,
}


def _imports(path: Path) -> Iterator[str]:
    """The parts of tenantpool that the module at *path* imports, wherever it does so."""
    package = ("tenantpool", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *filter(None, [node.module])))
            modules = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in modules if name.startswith("tenantpool."))


@pytest.mark.parametrize("layer", MAY_KNOW)
def test_a_layer_knows_only_those_below_it(layer: str) -> None:
    allowed = {layer, *MAY_KNOW[layer]}
    for path in (ROOT / layer).rglob("*.py"):
        foreign = set(_imports(path)) - allowed
        assert not foreign, f"{path.relative_to(ROOT)} imports {', '.join(sorted(foreign))}"


def test_what_every_layer_may_use_knows_none_of_them() -> None:
    for name in TOOLS - {"__version__"}:
        assert set(_imports(ROOT / f"{name}.py")) <= TOOLS, name
