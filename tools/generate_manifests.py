"""Render deploy/kubernetes from the chart in deploy/helm/tenantpool.

    python tools/generate_manifests.py            write what changed
    python tools/generate_manifests.py --check    print a diff and exit 1 when something is stale

One file for each template, with the chart's default values and the ServiceMonitor.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

import helm_python

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy" / "helm" / "tenantpool"
TARGET = ROOT / "deploy" / "kubernetes"

HEADER = (
    "# Rendered from deploy/helm/tenantpool by tools/generate_manifests.py; your copy is yours.\n"
)
VALUES = {"serviceMonitor": {"enabled": True}}


def render() -> dict[Path, str]:
    """The manifests, by the file that they belong into."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(VALUES, name="tenantpool", namespace="tenantpool")
    return {
        TARGET / Path(name).name: f"{HEADER}{text.strip()}\n"
        for name, text in rendered.items()
        if name.endswith(".yaml")
    }


def run(*, check: bool) -> int:
    """Update or check the manifests; return the exit code."""
    stale = {path: text for path, text in render().items() if text != _read(path)}
    for path, text in stale.items():
        name = str(path.relative_to(ROOT))
        if check:
            old, new = _read(path).splitlines(True), text.splitlines(True)
            sys.stdout.writelines(difflib.unified_diff(old, new, name, f"{name} (wanted)"))
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return int(check and bool(stale))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Render deploy/kubernetes from the chart.")
    parser.add_argument("--check", action="store_true", help="change nothing, show what is stale")
    sys.exit(run(check=parser.parse_args().check))
