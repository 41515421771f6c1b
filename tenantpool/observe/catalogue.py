"""Every metric by name. Names and labels are a contract with the rules that alert on them."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["gauge", "counter", "histogram"]


class Metric(NamedTuple):
    """One metric: its labels in order, and what it says."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    unit: str = ""


_D = ("database",)
_DT = ("database", "tier")
_DTR = ("database", "tier", "reason")
_CALL = ("grpc_service", "grpc_method", "grpc_type")
_TENANT = ("tenant", "tier", "database")
_POOL = ("db_client_connection_pool_name",)

METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("tenantpool_build_info", "gauge", ("version",), "Always 1; says what runs."),
        Metric(
            "tenantpool_capacity",
            "gauge",
            _D,
            "Connections that tenants may have on the database, all together; 0: not known yet.",
            "connections",
        ),
        Metric(
            "tenantpool_connections",
            "gauge",
            ("database", "state"),
            "Connections by state: opening, idle, in_use, resetting, closing.",
            "connections",
        ),
        Metric(
            "tenantpool_waiting", "gauge", _DT, "Requests that wait for a connection.", "requests"
        ),
        Metric("tenantpool_leases_total", "counter", _DT, "Leases granted.", "leases"),
        Metric(
            "tenantpool_leases_active",
            "gauge",
            ("database", "tier", "delivery"),
            "Leases in use, by the way their connections are reached.",
            "leases",
        ),
        Metric("tenantpool_refusals_total", "counter", _DTR, "Requests refused.", "requests"),
        Metric(
            "tenantpool_would_refuse_total",
            "counter",
            _DTR,
            "Requests that a limit on trial would have refused.",
            "requests",
        ),
        Metric(
            "tenantpool_wait_seconds",
            "histogram",
            _DT,
            "Time from request to lease; most leases need not wait.",
            "seconds",
        ),
        Metric(
            "tenantpool_hold_seconds",
            "histogram",
            _DT,
            "Time from lease to return, of leases that have ended.",
            "seconds",
        ),
        Metric(
            "tenantpool_leaks_total",
            "counter",
            _DT,
            "Leases that were held for longer than leak_after.",
            "leases",
        ),
        Metric(
            "tenantpool_revoked_total",
            "counter",
            _DT,
            "Leases that were taken away from their holders.",
            "leases",
        ),
        Metric(
            "tenantpool_connect_seconds",
            "histogram",
            _D,
            "Duration of connects to the database that worked.",
            "seconds",
        ),
        Metric(
            "tenantpool_connect_failures_total", "counter", _D, "Connects that failed.", "connects"
        ),
        Metric(
            "tenantpool_breaker_state",
            "gauge",
            _D,
            "The database's circuit breaker: 0 closed, 1 half-open, 2 open.",
        ),
        Metric(
            "tenantpool_tenant_breakers_open",
            "gauge",
            _D,
            "Pools of tenants whose circuit breaker is not closed.",
            "pools",
        ),
        Metric(
            "tenantpool_evictions_total",
            "counter",
            _D,
            "Connections closed so that another tenant gets the slot.",
            "connections",
        ),
        Metric(
            "tenantpool_overshoot_total",
            "counter",
            _D,
            "Connections begun beyond the capacity: a mistake of tenantpool's, if ever.",
            "connections",
        ),
        Metric("tenantpool_sessions", "gauge", (), "Workers that are connected.", "sessions"),
        Metric(
            "tenantpool_tenant_in_use",
            "gauge",
            _TENANT,
            "Connections in use, of the busiest tenants (metrics_tenants).",
            "connections",
        ),
        Metric(
            "tenantpool_tenant_waiting",
            "gauge",
            _TENANT,
            "Requests that wait, of the busiest tenants (metrics_tenants).",
            "requests",
        ),
        Metric(
            "tenantpool_config_reloads_total",
            "counter",
            ("result",),
            "Reloads of the configuration: success, failure.",
            "reloads",
        ),
        Metric(
            "tenantpool_config_last_reload_success",
            "gauge",
            (),
            "1 if the last reload worked; 0 if it failed, or there was none yet.",
        ),
        Metric(
            "tenantpool_alerts_firing",
            "gauge",
            ("alert", "severity"),
            "Alerts of the service itself that fire (section alerts).",
            "alerts",
        ),
        Metric(
            "db_client_connection_count",
            "gauge",
            ("db_client_connection_pool_name", "db_client_connection_state"),
            "Connections by state: used, idle. This and the next ones: OpenTelemetry's names.",
            "connections",
        ),
        Metric("db_client_connection_max", "gauge", _POOL, "The capacity.", "connections"),
        Metric(
            "db_client_connection_pending_requests",
            "gauge",
            _POOL,
            "Requests that wait for a connection.",
            "requests",
        ),
        Metric(
            "db_client_connection_timeouts_total",
            "counter",
            _POOL,
            "Requests that waited in vain, for a connection or for a connect.",
            "requests",
        ),
        Metric(
            "db_client_connection_create_time_seconds",
            "histogram",
            _POOL,
            "Duration of connects that worked.",
            "seconds",
        ),
        Metric(
            "db_client_connection_wait_time_seconds",
            "histogram",
            _POOL,
            "Time from request to lease.",
            "seconds",
        ),
        Metric(
            "db_client_connection_use_time_seconds",
            "histogram",
            _POOL,
            "Time from lease to return.",
            "seconds",
        ),
        Metric(
            "grpc_server_started_total",
            "counter",
            _CALL,
            "Calls over gRPC that have begun, health checks and reflection, too.",
            "calls",
        ),
        Metric(
            "grpc_server_handled_total",
            "counter",
            (*_CALL, "grpc_code"),
            "Calls over gRPC that have ended, by status.",
            "calls",
        ),
        Metric(
            "grpc_server_handling_seconds",
            "histogram",
            _CALL,
            "Duration of calls over gRPC, from the request; a session lasts as long as its worker.",
            "seconds",
        ),
    )
}
