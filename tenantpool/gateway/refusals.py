"""Why a client got no connection, in PostgreSQL's terms."""

from __future__ import annotations

import psycopg

from tenantpool import errors

from .exchange import WrongDatabase
from .protocol import ProtocolViolation, Report

_TOO_MANY = "53300"
_NOT_NOW = "57P03"
_NO_SUCH_DATABASE = "3D000"
_NOT_AUTHORIZED = "28000"
_BAD_PASSWORD = "28P01"
_SHUTDOWN = "57P01"
_CANCELED = "57014"
_INVALID = "22023"
_INTERNAL = "XX000"

# The first that fits counts.
_SQLSTATES: tuple[tuple[type[errors.TenantpoolError], str], ...] = (
    (errors.UnknownTenant, _NO_SUCH_DATABASE),
    (errors.Draining, _NOT_NOW),
    (errors.TenantSuspended, _NOT_AUTHORIZED),
    (errors.BreakerOpen, _NOT_NOW),
    (errors.ConnectFailed, _NOT_NOW),
    (errors.ConnectTimeout, _NOT_NOW),
    (errors.Refused, _TOO_MANY),
    (errors.LeaseEnded, _BAD_PASSWORD),
    (errors.NotAuthenticated, _BAD_PASSWORD),
    (errors.NotAllowed, _NOT_AUTHORIZED),
    (errors.BadRequest, _INVALID),
    (errors.TenantpoolError, _NOT_NOW),
)


def bad_password(user: str) -> Report:
    """Whether the user exists is not told."""
    return Report(
        _BAD_PASSWORD,
        f'password authentication failed for user "{user}"',
        hint="A lease's ticket is valid once, and as long as its lease lives.",
    )


def not_admitted(uid: int) -> Report:
    """The Unix socket's peer is nobody to talk to."""
    return Report(_NOT_AUTHORIZED, f"the user with uid {uid} may not connect to this socket")


def needs_tls() -> Report:
    """The client did not ask for TLS."""
    return Report(_NOT_AUTHORIZED, "connections without TLS are not accepted", hint="sslmode")


def too_many_startups(most: int) -> Report:
    """As many clients as may have not proved yet who they are."""
    return Report(
        _TOO_MANY,
        "too many clients are connecting",
        f"{most} clients have not yet proved who they are.",
        "Try again in a moment.",
    )


def too_slow(seconds: float) -> Report:
    """The start-up took too long."""
    return Report(_CANCELED, f"canceling authentication due to timeout: {seconds:g} s")


def cut(reason: str) -> Report:
    """The lease was ended by the service."""
    return Report(_SHUTDOWN, f"terminating connection: {reason}")


def internal_error() -> Report:
    """A mistake of ours; the log says which."""
    return Report(_INTERNAL, "internal error of tenantpool", hint="Its log says more.")


def explain(error: errors.TenantpoolError | psycopg.Error) -> Report:
    """What the client is told about an *error* that ended its start-up."""
    if isinstance(error, ProtocolViolation):
        return Report(error.sqlstate, str(error))
    if isinstance(error, WrongDatabase):
        return Report(_NO_SUCH_DATABASE, str(error), hint=error.hint)
    if isinstance(error, psycopg.Error):
        said = error.diag
        text = said.message_primary or str(error) or type(error).__name__
        detail, hint = said.message_detail or "", said.message_hint or ""
        return Report(error.sqlstate or _NOT_NOW, text, detail, hint)
    sqlstate = next(code for kind, code in _SQLSTATES if isinstance(error, kind))
    if isinstance(error, errors.Refused):
        return _explain_refusal(error, sqlstate)
    return Report(sqlstate, str(error))


def _explain_refusal(error: errors.Refused, sqlstate: str) -> Report:
    again = error.retry_after
    hint = "" if again is None else f"retry after {again:.3f} s"
    return Report(sqlstate, f"{error.tenant}: {error.reason}: {error.limit}", str(error), hint)
