"""The metrics that dashboards and alerts may use, with their labels: those that there are."""

from __future__ import annotations

from collections.abc import Iterator

from tenantpool.observe.catalogue import METRICS

_OF_PROMETHEUS = {"up": (), "ALERTS": ("alertname", "alertstate", "severity")}

STATES = {"opening", "idle", "in_use", "resetting", "closing"}
"""Values of the label ``state``."""


def _series() -> Iterator[tuple[str, tuple[str, ...]]]:
    for metric in METRICS.values():
        if metric.kind == "histogram":
            yield f"{metric.name}_bucket", (*metric.labels, "le")
        else:
            yield metric.name, metric.labels


LABELS = dict(_series()) | _OF_PROMETHEUS


def labels_of(metric: str) -> set[str]:
    """Of *metric*, with those that scraping adds. KeyError if there is no such metric."""
    return {*LABELS[metric], "instance", "job"}
