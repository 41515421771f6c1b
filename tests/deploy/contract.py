"""The metrics that dashboards and alerts may use, with their labels."""

from __future__ import annotations

_GAUGES_AND_COUNTERS = {
    "tenantpool_build_info": "version",
    "tenantpool_breaker_state": "database",
    "tenantpool_capacity": "database",
    "tenantpool_config_last_reload_success": "",
    "tenantpool_config_reloads_total": "result",
    "tenantpool_connect_failures_total": "database",
    "tenantpool_connections": "database state",
    "tenantpool_evictions_total": "database",
    "tenantpool_leaks_total": "database tier",
    "tenantpool_leases_active": "database tier delivery",
    "tenantpool_leases_total": "database tier",
    "tenantpool_overshoot_total": "database",
    "tenantpool_refusals_total": "database tier reason",
    "tenantpool_revoked_total": "database tier",
    "tenantpool_sessions": "",
    "tenantpool_tenant_breakers_open": "database",
    "tenantpool_tenant_in_use": "tenant tier database",
    "tenantpool_tenant_waiting": "tenant tier database",
    "tenantpool_waiting": "database tier",
    "tenantpool_would_refuse_total": "database tier reason",
    "grpc_server_handled_total": "grpc_service grpc_method grpc_code",
}
_HISTOGRAMS = {
    "tenantpool_connect_seconds": "database",
    "tenantpool_hold_seconds": "database tier",
    "tenantpool_wait_seconds": "database tier",
    "grpc_server_handling_seconds": "grpc_service grpc_method",
}
_OF_PROMETHEUS = {"up": "", "ALERTS": "alertname alertstate severity"}

LABELS = {
    **_GAUGES_AND_COUNTERS,
    **_OF_PROMETHEUS,
    **{f"{name}_bucket": f"{labels} le" for name, labels in _HISTOGRAMS.items()},
}

STATES = {"opening", "idle", "in_use", "resetting", "closing"}
"""Values of the label ``state``."""


def labels_of(metric: str) -> set[str]:
    """Of *metric*, with those that scraping adds. KeyError if there is no such metric."""
    return {*LABELS[metric].split(), "instance", "job"}
