"""Errors on the wire: a google.rpc.Status for each, and the same error back from it.

A status has exactly one ErrorInfo (domain ``tenantpool``) with the reason, and every value that
the message mentions as its metadata (AIP-193). RetryInfo says when to ask again, QuotaFailure whose
allotment was used up and by whom. A status may travel in trailing headers, of which a peer takes
8 KiB, so long texts are cut; and a password that got into one is masked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from google.protobuf.message import Message
from google.rpc import code_pb2 as code
from google.rpc.error_details_pb2 import ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from tenantpool import errors
from tenantpool.errors import ConfigError, ConfigErrors, Refused, TenantpoolError
from tenantpool.v1.lease_pb2 import LeaseError

__all__ = [
    "DOMAIN",
    "from_lease_error",
    "from_status",
    "retry_delay",
    "to_lease_error",
    "to_status",
]

DOMAIN = "tenantpool"

_LONGEST_MESSAGE = 900
_LONGEST_VALUE = 400
_MOST_HOLDERS = 8
_MOST_MISTAKES = 5
_RETRY_DELAY = 1.0
"""Seconds, for what may be over soon, where nobody knows how soon."""


class _Kind(NamedTuple):
    """How a class of errors is called on the wire."""

    code: int
    reason: str


_KINDS: dict[type[TenantpoolError], _Kind] = {
    errors.TenantLimit: _Kind(code.RESOURCE_EXHAUSTED, "TENANT_LIMIT"),
    errors.DatabaseLimit: _Kind(code.RESOURCE_EXHAUSTED, "DATABASE_LIMIT"),
    errors.AcquireTimeout: _Kind(code.RESOURCE_EXHAUSTED, "DATABASE_LIMIT"),
    errors.QueueFull: _Kind(code.RESOURCE_EXHAUSTED, "QUEUE_FULL"),
    errors.RateLimited: _Kind(code.RESOURCE_EXHAUSTED, "RATE_LIMIT"),
    errors.IdentityLimit: _Kind(code.RESOURCE_EXHAUSTED, "IDENTITY_LIMIT"),
    errors.BreakerOpen: _Kind(code.UNAVAILABLE, "BREAKER_OPEN"),
    errors.Draining: _Kind(code.UNAVAILABLE, "DRAINING"),
    errors.UnknownTenant: _Kind(code.NOT_FOUND, "UNKNOWN_TENANT"),
    # It used up its wait: a client that tries again at once would wait twice as long as it wanted.
    errors.ConnectTimeout: _Kind(code.DEADLINE_EXCEEDED, "CONNECT_TIMEOUT"),
    # No such database, a wrong password: somebody has to put it right first.
    errors.ConnectFailed: _Kind(code.FAILED_PRECONDITION, "CONNECT_FAILED"),
    # It may be asked for again when its operator says so.
    errors.TenantSuspended: _Kind(code.FAILED_PRECONDITION, "TENANT_SUSPENDED"),
    errors.StaleToken: _Kind(code.ABORTED, "STALE_TOKEN"),
    errors.LeaseTooLong: _Kind(code.FAILED_PRECONDITION, "MAX_LEASE"),
    errors.LeaseEnded: _Kind(code.NOT_FOUND, "LEASE_EXPIRED"),
    errors.RequestConflict: _Kind(code.INVALID_ARGUMENT, "REQUEST_ID_CONFLICT"),
    errors.BadRequest: _Kind(code.INVALID_ARGUMENT, "BAD_REQUEST"),
    errors.NotAuthenticated: _Kind(code.UNAUTHENTICATED, "NOT_AUTHENTICATED"),
    errors.NotAllowed: _Kind(code.PERMISSION_DENIED, "NOT_ALLOWED"),
    errors.ServiceUnavailable: _Kind(code.UNAVAILABLE, "SERVICE_UNAVAILABLE"),
    errors.ManagerClosed: _Kind(code.UNAVAILABLE, "MANAGER_CLOSED"),
    errors.ConfigConflict: _Kind(code.ABORTED, "CONFIG_CONFLICT"),
    errors.ConfigErrors: _Kind(code.FAILED_PRECONDITION, "CONFIG_ERROR"),
    errors.ConfigError: _Kind(code.FAILED_PRECONDITION, "CONFIG_ERROR"),
    TenantpoolError: _Kind(code.INTERNAL, "INTERNAL"),
}

# The first class of a reason is the one that is made of it.
_CLASSES = {kind.reason: cls for cls, kind in reversed(_KINDS.items())}

_BY_CODE: Mapping[int, type[TenantpoolError]] = {
    code.UNAVAILABLE: errors.ServiceUnavailable,
    code.DEADLINE_EXCEEDED: errors.ServiceUnavailable,
    code.UNAUTHENTICATED: errors.NotAuthenticated,
    code.PERMISSION_DENIED: errors.NotAllowed,
    code.INVALID_ARGUMENT: errors.BadRequest,
}
"""What a status without our ErrorInfo is: a proxy, gRPC itself or a newer service made it."""

_PASSWORD = re.compile(
    r"((?:password|secret|scram_(?:client|server)_key)\s*=\s*)(?:'(?:[^'\\]|\\.)*'?|[^\s']+)"
    r"|(://[^\s:@/]*:)[^\s@]+(?=@)",
    re.IGNORECASE,
)
"""A password in a connection string, in either of its notations."""


# -- to the wire -------------------------------------------------------------------------------


def to_status(error: TenantpoolError) -> Status:
    """The *error* as a status."""
    kind = _kind(error)
    status = Status(code=kind.code, message=_text(str(error), _LONGEST_MESSAGE))
    info = ErrorInfo(reason=kind.reason, domain=DOMAIN, metadata=_metadata(error))
    status.details.add().Pack(info)
    for detail in _details(error):
        status.details.add().Pack(detail)
    return status


def to_lease_error(error: TenantpoolError) -> LeaseError:
    """The *error* as an item of a batch carries it."""
    kind = _kind(error)
    message = _text(str(error), _LONGEST_MESSAGE)
    return LeaseError(code=kind.code, reason=kind.reason, message=message)


def retry_delay(error: TenantpoolError) -> float | None:
    """Seconds after which asking again may help; None if it does not, or nobody knows."""
    if isinstance(error, Refused) and error.retry_after is not None:
        return error.retry_after
    return _RETRY_DELAY if _kind(error).code == code.UNAVAILABLE else None


def _kind(error: TenantpoolError) -> _Kind:
    return next(_KINDS[cls] for cls in type(error).__mro__ if cls in _KINDS)


def _metadata(error: TenantpoolError) -> dict[str, str]:
    """Every value of the error, so that programs need not read the message; others are text."""
    if isinstance(error, Refused):
        return _metadata_of_refused(error)
    if isinstance(error, ConfigError):
        return _metadata_of_config(error)
    return {}


def _metadata_of_refused(error: Refused) -> dict[str, str]:
    metadata = {
        "tenant": _text(error.tenant),
        "limit": _text(error.limit),
        "database": _text(error.database),
        "waited": repr(error.waited),
    }
    if error.retry_after is not None:
        metadata["retry_after"] = repr(error.retry_after)
    if error.holders:
        largest = list(error.holders.items())[:_MOST_HOLDERS]
        metadata["holders"] = _json({_text(name, 100): count for name, count in largest})
    if error.__cause__ is not None:
        metadata["cause"] = _text(str(error.__cause__).strip())
    return metadata


def _metadata_of_config(error: ConfigError) -> dict[str, str]:
    mistakes = error.errors[:_MOST_MISTAKES] if isinstance(error, ConfigErrors) else (error,)
    triples = [[_text(part, 100) for part in (e.place, e.problem, e.fix)] for e in mistakes]
    return {"mistakes": _json(triples)}


def _details(error: TenantpoolError) -> Iterable[Message]:
    if isinstance(error, errors.TenantLimit | errors.IdentityLimit):
        yield _quota_failure(error)
    delay = retry_delay(error)
    if delay is not None:
        retry = RetryInfo()
        retry.retry_delay.FromTimedelta(timedelta(seconds=delay))
        yield retry


def _quota_failure(error: Refused) -> QuotaFailure:
    largest = list(error.holders.items())[:_MOST_HOLDERS]
    held = ", ".join(f"{name}: {count}" for name, count in largest)
    description = f"{error.limit}; held by {held}" if held else error.limit
    violation = QuotaFailure.Violation(
        subject=f"tenant:{_text(error.tenant)}", description=_text(description)
    )
    return QuotaFailure(violations=[violation])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(text: str, most: int = _LONGEST_VALUE) -> str:
    """*text* as protobuf takes it, up to *most* bytes of it, without passwords."""
    data = _PASSWORD.sub(r"\1\2***", text).encode(errors="replace")
    if len(data) <= most:
        return data.decode()
    return data[: most - 3].decode(errors="ignore") + "…"


# -- and back ----------------------------------------------------------------------------------


def from_status(status: Status) -> TenantpoolError:
    """The error that the *status* tells of, of the class that the service raised."""
    info = _error_info(status)
    if info is None or info.reason not in _CLASSES:
        return _BY_CODE.get(status.code, TenantpoolError)(status.message)
    cls = _CLASSES[info.reason]
    if issubclass(cls, Refused):
        return _refused(cls, info.metadata)
    if issubclass(cls, ConfigError):
        return _config_error(info.metadata, status.message)
    return cls(status.message)


def from_lease_error(error: LeaseError) -> TenantpoolError:
    """The error that an item of a batch carries."""
    cls = _CLASSES.get(error.reason, TenantpoolError)
    return (TenantpoolError if issubclass(cls, Refused | ConfigError) else cls)(error.message)


def _error_info(status: Status) -> ErrorInfo | None:
    info = ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info) and info.domain == DOMAIN:
            return info
    return None


def _refused(cls: type[Refused], metadata: Mapping[str, str]) -> Refused:
    retry_after = metadata.get("retry_after")
    cause = metadata.get("cause")
    return cls(
        metadata.get("tenant", ""),
        metadata.get("limit", ""),
        database=metadata.get("database", ""),
        waited=float(metadata.get("waited", 0)),
        retry_after=None if retry_after is None else float(retry_after),
        holders=json.loads(metadata.get("holders", "{}")),
        cause=None if cause is None else ConnectionError(cause),
    )


def _config_error(metadata: Mapping[str, str], message: str) -> ConfigError:
    mistakes = [ConfigError(*parts) for parts in json.loads(metadata.get("mistakes", "[]"))]
    if len(mistakes) > 1:
        return ConfigErrors(mistakes)
    return mistakes[0] if mistakes else ConfigError("configuration", message)
