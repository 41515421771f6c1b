import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
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
    __slots__ = ("name", "tier", "database", "pool", "cap", "weight", "guarantee", "in_use", "waiting", "leases", "refused", "breaker", "draining", "suspended", "pool_size", "pool_idle", "wait_mean", "wait_p99", "oldest_wait", "status", "advice")
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
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
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
    suspended: str
    pool_size: int
    pool_idle: int
    wait_mean: _duration_pb2.Duration
    wait_p99: _duration_pb2.Duration
    oldest_wait: _duration_pb2.Duration
    status: str
    advice: str
    def __init__(self, name: _Optional[str] = ..., tier: _Optional[str] = ..., database: _Optional[str] = ..., pool: _Optional[str] = ..., cap: _Optional[int] = ..., weight: _Optional[float] = ..., guarantee: _Optional[int] = ..., in_use: _Optional[int] = ..., waiting: _Optional[int] = ..., leases: _Optional[int] = ..., refused: _Optional[_Mapping[str, int]] = ..., breaker: _Optional[str] = ..., draining: bool = ..., suspended: _Optional[str] = ..., pool_size: _Optional[int] = ..., pool_idle: _Optional[int] = ..., wait_mean: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., wait_p99: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., oldest_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., status: _Optional[str] = ..., advice: _Optional[str] = ...) -> None: ...

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

class GetActivityRequest(_message.Message):
    __slots__ = ("database",)
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    database: str
    def __init__(self, database: _Optional[str] = ...) -> None: ...

class GetActivityResponse(_message.Message):
    __slots__ = ("states", "tenants", "longest", "hidden", "problem")
    STATES_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    LONGEST_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedCompositeFieldContainer[StateCount]
    tenants: _containers.RepeatedCompositeFieldContainer[TenantActivity]
    longest: _containers.RepeatedCompositeFieldContainer[Backend]
    hidden: bool
    problem: str
    def __init__(self, states: _Optional[_Iterable[_Union[StateCount, _Mapping]]] = ..., tenants: _Optional[_Iterable[_Union[TenantActivity, _Mapping]]] = ..., longest: _Optional[_Iterable[_Union[Backend, _Mapping]]] = ..., hidden: bool = ..., problem: _Optional[str] = ...) -> None: ...

class StateCount(_message.Message):
    __slots__ = ("state", "ours", "others")
    STATE_FIELD_NUMBER: _ClassVar[int]
    OURS_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    state: str
    ours: int
    others: int
    def __init__(self, state: _Optional[str] = ..., ours: _Optional[int] = ..., others: _Optional[int] = ...) -> None: ...

class TenantActivity(_message.Message):
    __slots__ = ("tenant", "states")
    class StatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    TENANT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    states: _containers.ScalarMap[str, int]
    def __init__(self, tenant: _Optional[str] = ..., states: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Backend(_message.Message):
    __slots__ = ("pid", "tenant", "dbname", "user", "state", "since", "age", "waits_for", "statement")
    PID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DBNAME_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    pid: int
    tenant: str
    dbname: str
    user: str
    state: str
    since: _duration_pb2.Duration
    age: _duration_pb2.Duration
    waits_for: str
    statement: str
    def __init__(self, pid: _Optional[int] = ..., tenant: _Optional[str] = ..., dbname: _Optional[str] = ..., user: _Optional[str] = ..., state: _Optional[str] = ..., since: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., waits_for: _Optional[str] = ..., statement: _Optional[str] = ...) -> None: ...

class ListFindingsRequest(_message.Message):
    __slots__ = ("prefix", "page_size", "page_token", "order_by", "contains")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    CONTAINS_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    page_size: int
    page_token: str
    order_by: str
    contains: str
    def __init__(self, prefix: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., order_by: _Optional[str] = ..., contains: _Optional[str] = ...) -> None: ...

class ListFindingsResponse(_message.Message):
    __slots__ = ("findings", "next_page_token", "findings_found")
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FOUND_FIELD_NUMBER: _ClassVar[int]
    findings: _containers.RepeatedCompositeFieldContainer[FindingState]
    next_page_token: str
    findings_found: int
    def __init__(self, findings: _Optional[_Iterable[_Union[FindingState, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., findings_found: _Optional[int] = ...) -> None: ...

class FindingState(_message.Message):
    __slots__ = ("finding_id", "kind", "tenants", "tenants_found", "what", "fix", "statement", "place", "duration", "count", "times", "found_at", "worker")
    FINDING_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FOUND_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    FIX_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    FOUND_AT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    finding_id: str
    kind: str
    tenants: _containers.RepeatedScalarFieldContainer[str]
    tenants_found: int
    what: str
    fix: str
    statement: str
    place: str
    duration: _duration_pb2.Duration
    count: int
    times: int
    found_at: _timestamp_pb2.Timestamp
    worker: str
    def __init__(self, finding_id: _Optional[str] = ..., kind: _Optional[str] = ..., tenants: _Optional[_Iterable[str]] = ..., tenants_found: _Optional[int] = ..., what: _Optional[str] = ..., fix: _Optional[str] = ..., statement: _Optional[str] = ..., place: _Optional[str] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., count: _Optional[int] = ..., times: _Optional[int] = ..., found_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., worker: _Optional[str] = ...) -> None: ...

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

class PlanConfigRequest(_message.Message):
    __slots__ = ("yaml",)
    YAML_FIELD_NUMBER: _ClassVar[int]
    yaml: str
    def __init__(self, yaml: _Optional[str] = ...) -> None: ...

class PlanConfigResponse(_message.Message):
    __slots__ = ("digest", "new_digest", "changes", "restarts", "impacts")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    NEW_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    IMPACTS_FIELD_NUMBER: _ClassVar[int]
    digest: str
    new_digest: str
    changes: _containers.RepeatedCompositeFieldContainer[ConfigChange]
    restarts: _containers.RepeatedCompositeFieldContainer[ConfigMistake]
    impacts: _containers.RepeatedCompositeFieldContainer[Impact]
    def __init__(self, digest: _Optional[str] = ..., new_digest: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[ConfigChange, _Mapping]]] = ..., restarts: _Optional[_Iterable[_Union[ConfigMistake, _Mapping]]] = ..., impacts: _Optional[_Iterable[_Union[Impact, _Mapping]]] = ...) -> None: ...

class ConfigChange(_message.Message):
    __slots__ = ("kind", "subject", "text", "live")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    subject: str
    text: str
    live: bool
    def __init__(self, kind: _Optional[str] = ..., subject: _Optional[str] = ..., text: _Optional[str] = ..., live: bool = ...) -> None: ...

class Impact(_message.Message):
    __slots__ = ("tenant", "database", "above", "requests", "over_cap", "over_queue", "over_rate")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    ABOVE_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    OVER_CAP_FIELD_NUMBER: _ClassVar[int]
    OVER_QUEUE_FIELD_NUMBER: _ClassVar[int]
    OVER_RATE_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    database: str
    above: int
    requests: int
    over_cap: int
    over_queue: int
    over_rate: int
    def __init__(self, tenant: _Optional[str] = ..., database: _Optional[str] = ..., above: _Optional[int] = ..., requests: _Optional[int] = ..., over_cap: _Optional[int] = ..., over_queue: _Optional[int] = ..., over_rate: _Optional[int] = ...) -> None: ...

class ReloadConfigRequest(_message.Message):
    __slots__ = ("expected_digest", "dry_run", "yaml")
    EXPECTED_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    YAML_FIELD_NUMBER: _ClassVar[int]
    expected_digest: str
    dry_run: bool
    yaml: str
    def __init__(self, expected_digest: _Optional[str] = ..., dry_run: bool = ..., yaml: _Optional[str] = ...) -> None: ...

class ReloadConfigResponse(_message.Message):
    __slots__ = ("changes", "digest")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedScalarFieldContainer[str]
    digest: str
    def __init__(self, changes: _Optional[_Iterable[str]] = ..., digest: _Optional[str] = ...) -> None: ...

class GetConfigRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetConfigResponse(_message.Message):
    __slots__ = ("digest", "latest", "reloads")
    class ReloadsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    LATEST_FIELD_NUMBER: _ClassVar[int]
    RELOADS_FIELD_NUMBER: _ClassVar[int]
    digest: str
    latest: Reload
    reloads: _containers.ScalarMap[str, int]
    def __init__(self, digest: _Optional[str] = ..., latest: _Optional[_Union[Reload, _Mapping]] = ..., reloads: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Reload(_message.Message):
    __slots__ = ("result", "source", "author", "made_at", "digest_before", "digest_after", "changes", "mistakes")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_BEFORE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_AFTER_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    MISTAKES_FIELD_NUMBER: _ClassVar[int]
    result: str
    source: str
    author: str
    made_at: _timestamp_pb2.Timestamp
    digest_before: str
    digest_after: str
    changes: _containers.RepeatedScalarFieldContainer[str]
    mistakes: _containers.RepeatedCompositeFieldContainer[ConfigMistake]
    def __init__(self, result: _Optional[str] = ..., source: _Optional[str] = ..., author: _Optional[str] = ..., made_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., digest_before: _Optional[str] = ..., digest_after: _Optional[str] = ..., changes: _Optional[_Iterable[str]] = ..., mistakes: _Optional[_Iterable[_Union[ConfigMistake, _Mapping]]] = ...) -> None: ...

class Override(_message.Message):
    __slots__ = ("override_id", "tenant", "tier", "suspended", "was", "until", "ends_in", "author", "reason", "made_at")
    OVERRIDE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    WAS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    ENDS_IN_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    override_id: str
    tenant: str
    tier: str
    suspended: bool
    was: str
    until: _timestamp_pb2.Timestamp
    ends_in: _duration_pb2.Duration
    author: str
    reason: str
    made_at: _timestamp_pb2.Timestamp
    def __init__(self, override_id: _Optional[str] = ..., tenant: _Optional[str] = ..., tier: _Optional[str] = ..., suspended: bool = ..., was: _Optional[str] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., author: _Optional[str] = ..., reason: _Optional[str] = ..., made_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SetOverrideRequest(_message.Message):
    __slots__ = ("tenant", "tier", "suspended", "lasts", "until", "reason")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    LASTS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    tier: str
    suspended: bool
    lasts: _duration_pb2.Duration
    until: _timestamp_pb2.Timestamp
    reason: str
    def __init__(self, tenant: _Optional[str] = ..., tier: _Optional[str] = ..., suspended: bool = ..., lasts: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class SetOverrideResponse(_message.Message):
    __slots__ = ("override", "changes")
    OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    override: Override
    changes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, override: _Optional[_Union[Override, _Mapping]] = ..., changes: _Optional[_Iterable[str]] = ...) -> None: ...

class ListOverridesRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class ListOverridesResponse(_message.Message):
    __slots__ = ("overrides",)
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    overrides: _containers.RepeatedCompositeFieldContainer[Override]
    def __init__(self, overrides: _Optional[_Iterable[_Union[Override, _Mapping]]] = ...) -> None: ...

class RemoveOverrideRequest(_message.Message):
    __slots__ = ("override_id",)
    OVERRIDE_ID_FIELD_NUMBER: _ClassVar[int]
    override_id: str
    def __init__(self, override_id: _Optional[str] = ...) -> None: ...

class RemoveOverrideResponse(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, changes: _Optional[_Iterable[str]] = ...) -> None: ...

class GetScalingRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class GetScalingResponse(_message.Message):
    __slots__ = ("changes", "left_alone")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    LEFT_ALONE_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[CapChange]
    left_alone: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, changes: _Optional[_Iterable[_Union[CapChange, _Mapping]]] = ..., left_alone: _Optional[_Iterable[str]] = ...) -> None: ...

class CapChange(_message.Message):
    __slots__ = ("tenant", "tier", "cap_before", "cap_after", "utilisation", "made_at")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    CAP_BEFORE_FIELD_NUMBER: _ClassVar[int]
    CAP_AFTER_FIELD_NUMBER: _ClassVar[int]
    UTILISATION_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    tier: str
    cap_before: int
    cap_after: int
    utilisation: float
    made_at: _timestamp_pb2.Timestamp
    def __init__(self, tenant: _Optional[str] = ..., tier: _Optional[str] = ..., cap_before: _Optional[int] = ..., cap_after: _Optional[int] = ..., utilisation: _Optional[float] = ..., made_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class UndoScalingRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class UndoScalingResponse(_message.Message):
    __slots__ = ("cap",)
    CAP_FIELD_NUMBER: _ClassVar[int]
    cap: int
    def __init__(self, cap: _Optional[int] = ...) -> None: ...

class ResumeScalingRequest(_message.Message):
    __slots__ = ("tenant",)
    TENANT_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    def __init__(self, tenant: _Optional[str] = ...) -> None: ...

class ResumeScalingResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Alert(_message.Message):
    __slots__ = ("name", "labels", "severity", "state", "value", "summary", "description", "found_at", "fired_at")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FOUND_AT_FIELD_NUMBER: _ClassVar[int]
    FIRED_AT_FIELD_NUMBER: _ClassVar[int]
    name: str
    labels: _containers.ScalarMap[str, str]
    severity: str
    state: str
    value: float
    summary: str
    description: str
    found_at: _timestamp_pb2.Timestamp
    fired_at: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., severity: _Optional[str] = ..., state: _Optional[str] = ..., value: _Optional[float] = ..., summary: _Optional[str] = ..., description: _Optional[str] = ..., found_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fired_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

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
    __slots__ = ("databases", "tenants", "sessions", "leases", "version", "status", "summary", "tenants_found", "alerts")
    DATABASES_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    TENANTS_FOUND_FIELD_NUMBER: _ClassVar[int]
    ALERTS_FIELD_NUMBER: _ClassVar[int]
    databases: _containers.RepeatedCompositeFieldContainer[DatabaseState]
    tenants: _containers.RepeatedCompositeFieldContainer[Tenant]
    sessions: int
    leases: int
    version: str
    status: str
    summary: str
    tenants_found: int
    alerts: _containers.RepeatedCompositeFieldContainer[Alert]
    def __init__(self, databases: _Optional[_Iterable[_Union[DatabaseState, _Mapping]]] = ..., tenants: _Optional[_Iterable[_Union[Tenant, _Mapping]]] = ..., sessions: _Optional[int] = ..., leases: _Optional[int] = ..., version: _Optional[str] = ..., status: _Optional[str] = ..., summary: _Optional[str] = ..., tenants_found: _Optional[int] = ..., alerts: _Optional[_Iterable[_Union[Alert, _Mapping]]] = ...) -> None: ...
