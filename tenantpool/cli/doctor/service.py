"""The service that runs, if one does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenantpool import __version__
from tenantpool.cli.connection import Admin
from tenantpool.cli.doctor.check import Check, ok, problem, warning
from tenantpool.cli.status import FIRING, alert_line, read
from tenantpool.errors import NotAllowed, NotAuthenticated, ServiceUnavailable, TenantpoolError
from tenantpool.v1.admin_service_pb2 import Alert

_SUBJECT = "service"


def examine_service(admin: Admin, *, is_expected: bool) -> Iterator[Check]:
    """Ask the service. *is_expected*: somebody said where it is. Blocks."""
    where = admin.target.name
    try:
        state = read(admin, 1)
    except ServiceUnavailable as error:
        if is_expected:
            yield problem(_SUBJECT, f"{where}: {error}", "start it, or correct --target")
        else:
            yield ok(_SUBJECT, f"none answers at {where}; what concerns a running one is left out")
        return
    except (NotAuthenticated, NotAllowed) as error:
        remedy = "give --token-file of an identity with administer: true"
        yield warning(_SUBJECT, f"{where} runs, and does not let us look: {error}", remedy)
        return
    except (TenantpoolError, OSError) as error:
        yield problem(_SUBJECT, f"{where}: {error}", "see the service's log")
        return
    yield _version(where, state.version)
    if state.status == "healthy":
        yield ok(f"{_SUBJECT}: health", state.summary)
    else:
        make = problem if state.status == "critical" else warning
        yield make(f"{_SUBJECT}: health", state.summary, "tenantpool top shows who and why")
    yield from _alerts(state.alerts)


def _alerts(alerts: Sequence[Alert]) -> Iterator[Check]:
    """What fires, each with what to do."""
    subject = f"{_SUBJECT}: alerts"
    firing = [alert for alert in alerts if alert.state == FIRING]
    for alert in firing:
        make = problem if alert.severity == "critical" else warning
        yield make(subject, alert_line(alert), alert.description)
    if not firing:
        yield ok(subject, "none fires")


def _version(where: str, theirs: str) -> Check:
    if theirs == __version__:
        return ok(f"{_SUBJECT}: version", f"{where} answers, and is {theirs} as we are")
    return warning(
        f"{_SUBJECT}: version",
        f"{where} is {theirs or 'older than we are'}, and this command {__version__}",
        "install one version in both places, and restart the service",
    )
