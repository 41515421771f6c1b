import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListTenantsRequest(_message.Message):
    __slots__ = ("prefix", "page_size", "page_token")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    page_size: int
    page_token: str
    def __init__(self, prefix: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTenantsResponse(_message.Message):
    __slots__ = ("tenants", "next_page_token")
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenants: _containers.RepeatedCompositeFieldContainer[Tenant]
    next_page_token: str
    def __init__(self, tenants: _Optional[_Iterable[_Union[Tenant, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetTenantRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class GetTenantResponse(_message.Message):
    __slots__ = ("tenant", "limits", "waiters", "breaker")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    WAITERS_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    tenant: Tenant
    limits: TenantLimits
    waiters: _containers.RepeatedCompositeFieldContainer[Waiter]
    breaker: BreakerState
    def __init__(self, tenant: _Optional[_Union[Tenant, _Mapping]] = ..., limits: _Optional[_Union[TenantLimits, _Mapping]] = ..., waiters: _Optional[_Iterable[_Union[Waiter, _Mapping]]] = ..., breaker: _Optional[_Union[BreakerState, _Mapping]] = ...) -> None: ...

class TenantLimits(_message.Message):
    __slots__ = ("min_size", "overflow", "max_waiting", "acquire_timeout", "rate", "max_lease", "max_idle", "max_lifetime")
    MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_FIELD_NUMBER: _ClassVar[int]
    MAX_WAITING_FIELD_NUMBER: _ClassVar[int]
    ACQUIRE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RATE_FIELD_NUMBER: _ClassVar[int]
    MAX_LEASE_FIELD_NUMBER: _ClassVar[int]
    MAX_IDLE_FIELD_NUMBER: _ClassVar[int]
    MAX_LIFETIME_FIELD_NUMBER: _ClassVar[int]
    min_size: int
    overflow: int
    max_waiting: int
    acquire_timeout: _duration_pb2.Duration
    rate: float
    max_lease: _duration_pb2.Duration
    max_idle: _duration_pb2.Duration
    max_lifetime: _duration_pb2.Duration
    def __init__(self, min_size: _Optional[int] = ..., overflow: _Optional[int] = ..., max_waiting: _Optional[int] = ..., acquire_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., rate: _Optional[float] = ..., max_lease: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_idle: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_lifetime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Waiter(_message.Message):
    __slots__ = ("holder", "priority", "waited")
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    WAITED_FIELD_NUMBER: _ClassVar[int]
    holder: str
    priority: int
    waited: _duration_pb2.Duration
    def __init__(self, holder: _Optional[str] = ..., priority: _Optional[int] = ..., waited: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class BreakerState(_message.Message):
    __slots__ = ("state", "error", "retry_in")
    STATE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    RETRY_IN_FIELD_NUMBER: _ClassVar[int]
    state: str
    error: str
    retry_in: _duration_pb2.Duration
    def __init__(self, state: _Optional[str] = ..., error: _Optional[str] = ..., retry_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Tenant(_message.Message):
    __slots__ = ("name", "tier", "database", "pool", "cap", "weight", "guarantee", "in_use", "waiting", "leases", "refused", "breaker", "draining", "pool_size", "pool_idle", "wait_mean", "wait_p99", "oldest_wait", "status", "advice")
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    CAP_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    GUARANTEE_FIELD_NUMBER: _ClassVar[int]
    IN_USE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    POOL_SIZE_FIELD_NUMBER: _ClassVar[int]
    POOL_IDLE_FIELD_NUMBER: _ClassVar[int]
    WAIT_MEAN_FIELD_NUMBER: _ClassVar[int]
    WAIT_P99_FIELD_NUMBER: _ClassVar[int]
    OLDEST_WAIT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    name: str
    tier: str
    database: str
    pool: str
    cap: int
    weight: float
    guarantee: int
    in_use: int
    waiting: int
    leases: int
    refused: _containers.ScalarMap[str, int]
    breaker: str
    draining: bool
    pool_size: int
    pool_idle: int
    wait_mean: _duration_pb2.Duration
    wait_p99: _duration_pb2.Duration
    oldest_wait: _duration_pb2.Duration
    status: str
    advice: str
    def __init__(self, name: _Optional[str] = ..., tier: _Optional[str] = ..., database: _Optional[str] = ..., pool: _Optional[str] = ..., cap: _Optional[int] = ..., weight: _Optional[float] = ..., guarantee: _Optional[int] = ..., in_use: _Optional[int] = ..., waiting: _Optional[int] = ..., leases: _Optional[int] = ..., refused: _Optional[_Mapping[str, int]] = ..., breaker: _Optional[str] = ..., draining: bool = ..., pool_size: _Optional[int] = ..., pool_idle: _Optional[int] = ..., wait_mean: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., wait_p99: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., oldest_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., status: _Optional[str] = ..., advice: _Optional[str] = ...) -> None: ...

class ListDatabasesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDatabasesResponse(_message.Message):
    __slots__ = ("databases",)
    DATABASES_FIELD_NUMBER: _ClassVar[int]
    databases: _containers.RepeatedCompositeFieldContainer[DatabaseState]
    def __init__(self, databases: _Optional[_Iterable[_Union[DatabaseState, _Mapping]]] = ...) -> None: ...

class DatabaseState(_message.Message):
    __slots__ = ("name", "capacity", "used", "slots", "waiting", "breaker", "leases", "refused", "status", "advice")
    class SlotsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class RefusedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    BREAKER_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    name: str
    capacity: int
    used: int
    slots: _containers.ScalarMap[str, int]
    waiting: int
    breaker: str
    leases: int
    refused: _containers.ScalarMap[str, int]
    status: str
    advice: str
    def __init__(self, name: _Optional[str] = ..., capacity: _Optional[int] = ..., used: _Optional[int] = ..., slots: _Optional[_Mapping[str, int]] = ..., waiting: _Optional[int] = ..., breaker: _Optional[str] = ..., leases: _Optional[int] = ..., refused: _Optional[_Mapping[str, int]] = ..., status: _Optional[str] = ..., advice: _Optional[str] = ...) -> None: ...

class ListLeasesRequest(_message.Message):
    __slots__ = ("prefix", "page_size", "page_token")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    page_size: int
    page_token: str
    def __init__(self, prefix: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListLeasesResponse(_message.Message):
    __slots__ = ("leases", "next_page_token")
    LEASES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    leases: _containers.RepeatedCompositeFieldContainer[LeaseState]
    next_page_token: str
    def __init__(self, leases: _Optional[_Iterable[_Union[LeaseState, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class LeaseState(_message.Message):
    __slots__ = ("lease_id", "tenant", "identity", "holder", "delivery", "held", "expires_in", "backend_pid")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    BACKEND_PID_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    tenant: str
    identity: str
    holder: str
    delivery: str
    held: _duration_pb2.Duration
    expires_in: _duration_pb2.Duration
    backend_pid: int
    def __init__(self, lease_id: _Optional[str] = ..., tenant: _Optional[str] = ..., identity: _Optional[str] = ..., holder: _Optional[str] = ..., delivery: _Optional[str] = ..., held: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expires_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., backend_pid: _Optional[int] = ...) -> None: ...

class RevokeLeasesRequest(_message.Message):
    __slots__ = ("prefix", "drain_within", "reason")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    DRAIN_WITHIN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    drain_within: _duration_pb2.Duration
    reason: str
    def __init__(self, prefix: _Optional[str] = ..., drain_within: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class RevokeLeasesResponse(_message.Message):
    __slots__ = ("revoked",)
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    revoked: int
    def __init__(self, revoked: _Optional[int] = ...) -> None: ...

class DrainTenantRequest(_message.Message):
    __slots__ = ("tenant", "timeout")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    timeout: _duration_pb2.Duration
    def __init__(self, tenant: _Optional[str] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class DrainTenantResponse(_message.Message):
    __slots__ = ("drained",)
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    drained: bool
    def __init__(self, drained: bool = ...) -> None: ...

class ResumeTenantRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class ResumeTenantResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ValidateConfigRequest(_message.Message):
    __slots__ = ("yaml",)
    YAML_FIELD_NUMBER: _ClassVar[int]
    yaml: str
    def __init__(self, yaml: _Optional[str] = ...) -> None: ...

class ValidateConfigResponse(_message.Message):
    __slots__ = ("mistakes",)
    MISTAKES_FIELD_NUMBER: _ClassVar[int]
    mistakes: _containers.RepeatedCompositeFieldContainer[ConfigMistake]
    def __init__(self, mistakes: _Optional[_Iterable[_Union[ConfigMistake, _Mapping]]] = ...) -> None: ...

class ConfigMistake(_message.Message):
    __slots__ = ("place", "problem", "fix")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    FIX_FIELD_NUMBER: _ClassVar[int]
    place: str
    problem: str
    fix: str
    def __init__(self, place: _Optional[str] = ..., problem: _Optional[str] = ..., fix: _Optional[str] = ...) -> None: ...

class ReloadConfigRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReloadConfigResponse(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, changes: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("interval", "order_by", "contains", "page_size")
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    CONTAINS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    interval: _duration_pb2.Duration
    order_by: str
    contains: str
    page_size: int
    def __init__(self, interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., order_by: _Optional[str] = ..., contains: _Optional[str] = ..., page_size: _Optional[int] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("databases", "tenants", "sessions", "leases", "version", "status", "summary", "tenants_found")
    DATABASES_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FOUND_FIELD_NUMBER: _ClassVar[int]
    databases: _containers.RepeatedCompositeFieldContainer[DatabaseState]
    tenants: _containers.RepeatedCompositeFieldContainer[Tenant]
    sessions: int
    leases: int
    version: str
    status: str
    summary: str
    tenants_found: int
    def __init__(self, databases: _Optional[_Iterable[_Union[DatabaseState, _Mapping]]] = ..., tenants: _Optional[_Iterable[_Union[Tenant, _Mapping]]] = ..., sessions: _Optional[int] = ..., leases: _Optional[int] = ..., version: _Optional[str] = ..., status: _Optional[str] = ..., summary: _Optional[str] = ..., tenants_found: _Optional[int] = ...) -> None: ...
