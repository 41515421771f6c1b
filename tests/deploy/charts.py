"""Helm in a process of its own: a Go runtime has threads and signal handlers that stay.

python charts.py CHART    reads a JSON object of values, writes one: what lint says, and the
                          manifests by template, or the error
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.deploy.files import DEPLOY, ROOT

CHART = DEPLOY / "helm" / "tenantpool"


def render(values: dict[str, Any] | None = None, name: str = "tenantpool") -> dict[str, Any]:
    """``lint``, and ``manifests`` or ``error``, for a release *name* with *values*."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, name],
        cwd=ROOT,
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _main(name: str) -> None:
    import helm_python

    values = json.load(sys.stdin)
    answer: dict[str, Any] = {"lint": helm_python.lint(CHART, values, strict=True)}
    with helm_python.Chart.load(CHART) as chart:
        try:
            chart.validate_schema(values)
            answer["manifests"] = chart.render(values, name=name, namespace="default")
        except helm_python.HelmError as error:
            answer["error"] = str(error)
    print(json.dumps(answer))


if __name__ == "__main__":
    _main(sys.argv[1])
