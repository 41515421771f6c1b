import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.rpc import status_pb2 as _status_pb2
from tenantpool.v1 import lease_pb2 as _lease_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FindingKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINDING_KIND_UNSPECIFIED: _ClassVar[FindingKind]
    FINDING_KIND_SLOW_STATEMENT: _ClassVar[FindingKind]
    FINDING_KIND_REPEATED_STATEMENT: _ClassVar[FindingKind]
    FINDING_KIND_PLAN: _ClassVar[FindingKind]
    FINDING_KIND_LONG_LEASE: _ClassVar[FindingKind]
    FINDING_KIND_IDLE_IN_TRANSACTION: _ClassVar[FindingKind]
FINDING_KIND_UNSPECIFIED: FindingKind
FINDING_KIND_SLOW_STATEMENT: FindingKind
FINDING_KIND_REPEATED_STATEMENT: FindingKind
FINDING_KIND_PLAN: FindingKind
FINDING_KIND_LONG_LEASE: FindingKind
FINDING_KIND_IDLE_IN_TRANSACTION: FindingKind

class SessionRequest(_message.Message):
    __slots__ = ("sequence", "hello", "join", "acquire", "cancel", "release", "hand_over", "discard", "heartbeat", "goodbye")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    ACQUIRE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    HAND_OVER_FIELD_NUMBER: _ClassVar[int]
    DISCARD_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    hello: Hello
    join: Join
    acquire: _lease_pb2.AcquireLeaseRequest
    cancel: Cancel
    release: _lease_pb2.ReleaseLeaseRequest
    hand_over: HandOverRequest
    discard: Discard
    heartbeat: Heartbeat
    goodbye: Goodbye
    def __init__(self, sequence: _Optional[int] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., join: _Optional[_Union[Join, _Mapping]] = ..., acquire: _Optional[_Union[_lease_pb2.AcquireLeaseRequest, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., release: _Optional[_Union[_lease_pb2.ReleaseLeaseRequest, _Mapping]] = ..., hand_over: _Optional[_Union[HandOverRequest, _Mapping]] = ..., discard: _Optional[_Union[Discard, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ...) -> None: ...

class SessionResponse(_message.Message):
    __slots__ = ("sequence", "welcome", "acquired", "refused", "handed_over", "beat", "farewell", "recall", "drain", "ended")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACQUIRED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    HANDED_OVER_FIELD_NUMBER: _ClassVar[int]
    BEAT_FIELD_NUMBER: _ClassVar[int]
    FAREWELL_FIELD_NUMBER: _ClassVar[int]
    RECALL_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    welcome: Welcome
    acquired: _lease_pb2.AcquireLeaseResponse
    refused: _status_pb2.Status
    handed_over: HandOver
    beat: Beat
    farewell: Farewell
    recall: Recall
    drain: DrainNotice
    ended: LeaseEnded
    def __init__(self, sequence: _Optional[int] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., acquired: _Optional[_Union[_lease_pb2.AcquireLeaseResponse, _Mapping]] = ..., refused: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., handed_over: _Optional[_Union[HandOver, _Mapping]] = ..., beat: _Optional[_Union[Beat, _Mapping]] = ..., farewell: _Optional[_Union[Farewell, _Mapping]] = ..., recall: _Optional[_Union[Recall, _Mapping]] = ..., drain: _Optional[_Union[DrainNotice, _Mapping]] = ..., ended: _Optional[_Union[LeaseEnded, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("worker", "deliveries", "token")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    worker: str
    deliveries: _containers.RepeatedScalarFieldContainer[_lease_pb2.Delivery]
    token: str
    def __init__(self, worker: _Optional[str] = ..., deliveries: _Optional[_Iterable[_Union[_lease_pb2.Delivery, str]]] = ..., token: _Optional[str] = ...) -> None: ...

class Join(_message.Message):
    __slots__ = ("session_pass",)
    SESSION_PASS_FIELD_NUMBER: _ClassVar[int]
    session_pass: str
    def __init__(self, session_pass: _Optional[str] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("session_id", "ttl", "heartbeat", "session_pass", "gateways", "max_findings_size")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    SESSION_PASS_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    MAX_FINDINGS_SIZE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    ttl: _duration_pb2.Duration
    heartbeat: _duration_pb2.Duration
    session_pass: str
    gateways: _containers.RepeatedCompositeFieldContainer[_lease_pb2.GatewayAddress]
    max_findings_size: int
    def __init__(self, session_id: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., heartbeat: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., session_pass: _Optional[str] = ..., gateways: _Optional[_Iterable[_Union[_lease_pb2.GatewayAddress, _Mapping]]] = ..., max_findings_size: _Optional[int] = ...) -> None: ...

class Cancel(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...

class HandOverRequest(_message.Message):
    __slots__ = ("lease_id",)
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    def __init__(self, lease_id: _Optional[str] = ...) -> None: ...

class HandOver(_message.Message):
    __slots__ = ("husk",)
    HUSK_FIELD_NUMBER: _ClassVar[int]
    husk: int
    def __init__(self, husk: _Optional[int] = ...) -> None: ...

class Discard(_message.Message):
    __slots__ = ("husks",)
    HUSKS_FIELD_NUMBER: _ClassVar[int]
    husks: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, husks: _Optional[_Iterable[int]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("findings",)
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    def __init__(self, findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("kind", "tenant", "what", "fix", "statement", "place", "duration", "count", "times", "age")
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    FIX_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    kind: FindingKind
    tenant: str
    what: str
    fix: str
    statement: str
    place: str
    duration: _duration_pb2.Duration
    count: int
    times: int
    age: _duration_pb2.Duration
    def __init__(self, kind: _Optional[_Union[FindingKind, str]] = ..., tenant: _Optional[str] = ..., what: _Optional[str] = ..., fix: _Optional[str] = ..., statement: _Optional[str] = ..., place: _Optional[str] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., count: _Optional[int] = ..., times: _Optional[int] = ..., age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Beat(_message.Message):
    __slots__ = ("ttl",)
    TTL_FIELD_NUMBER: _ClassVar[int]
    ttl: _duration_pb2.Duration
    def __init__(self, ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Farewell(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Recall(_message.Message):
    __slots__ = ("tenant", "database", "quiet")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    QUIET_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    database: str
    quiet: _duration_pb2.Duration
    def __init__(self, tenant: _Optional[str] = ..., database: _Optional[str] = ..., quiet: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class DrainNotice(_message.Message):
    __slots__ = ("lease_id", "drain_within", "reason")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    DRAIN_WITHIN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    drain_within: _duration_pb2.Duration
    reason: str
    def __init__(self, lease_id: _Optional[str] = ..., drain_within: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class LeaseEnded(_message.Message):
    __slots__ = ("lease_id", "reason")
    LEASE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    lease_id: str
    reason: str
    def __init__(self, lease_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
