"""What a client has found, and its service does not know yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from threading import Lock
from time import time

from tenantpool.insight.finding import Finding
from tenantpool.insight.insight import Insight
from tenantpool.insight.lookout import Lookout
from tenantpool.insight.options import Options
from tenantpool.insight.wire import to_report, together
from tenantpool.v1.session_pb2 import Heartbeat

_MOST = 256
"""Findings that wait to be reported; the oldest are forgotten."""
_MOST_AT_A_TIME = 16


class Reports:
    """Takes what the leases of one client show: for its *insight*, and for the next heartbeat."""

    def __init__(self, insight: Insight) -> None:
        self.insight = insight
        self._lock = Lock()
        self._unsaid: dict[tuple[str, ...], Finding] = {}

    def __repr__(self) -> str:
        return f"<Reports: {len(self._unsaid)} to be said>"

    def __bool__(self) -> bool:
        """Whether there is anything to be said."""
        return bool(self._unsaid)

    @property
    def options(self) -> Options:
        """What is found."""
        return self.insight.options

    def lookout(self) -> Lookout:
        """What looks at the leases in use. Does not block."""
        return Lookout(self.insight.options, self.note)

    def note(self, finding: Finding) -> None:
        """Tell the insight, and the service later. Does not block."""
        self.insight.note(finding)
        with self._lock:
            self._keep(replace(finding, last=time()))

    def move_to(self, heartbeat: Heartbeat, size: int) -> list[Finding]:
        """Let *heartbeat* say what has waited longest, within *size* bytes; return what that is.

        Does not block.
        """
        said: list[Finding] = []
        with self._lock:
            for key, finding in list(self._unsaid.items())[:_MOST_AT_A_TIME]:
                heartbeat.findings.append(to_report(finding, time()))
                if heartbeat.ByteSize() > size:
                    del heartbeat.findings[-1]
                    if said:
                        break
                else:
                    said.append(finding)
                del self._unsaid[key]
        return said

    def take_back(self, unheard: Iterable[Finding]) -> None:
        """Nobody has heard these: say them again. Does not block."""
        with self._lock:
            for finding in unheard:
                self._keep(finding)

    def _keep(self, finding: Finding) -> None:
        key = finding.key
        self._unsaid[key] = together(self._unsaid.pop(key, None), finding)
        if len(self._unsaid) > _MOST:
            del self._unsaid[next(iter(self._unsaid))]

    def _disown(self) -> None:
        """This process is a fork: what was found before, the parent says."""
        self._lock = Lock()
        self._unsaid = {}
        self.insight._disown()
