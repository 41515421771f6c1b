"""Traces: each lease is a span, where the application has set OpenTelemetry up.

A manager, a client and the service look for a tracer provider when they open. Without one, or
without the package (``pip install 'tenantpool[otel]'``), nothing is imported, and a lease reads two
variables more.

The span lasts from the request to the return. It is current inside ``with ... connection()``, so
what a driver's instrumentation makes there are its children. Names are those of OpenTelemetry's
semantic conventions where it has some; the others begin with ``tenantpool.``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tenantpool.errors import Refused, TenantpoolError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanKind, TracerProvider

__all__ = ["LeaseSpan", "Tracing", "adopt", "find", "leave", "use"]

_NAME = "tenantpool lease"
_GRANTED = "lease granted"
_ENDED = "lease ended"

_TENANT = "tenantpool.tenant"
_TIER = "tenantpool.tier"
_DATABASE = "tenantpool.database"
_LEASE_ID = "tenantpool.lease.id"
_WAIT = "tenantpool.wait"
"""Seconds from the request to the grant."""
_REASON = "tenantpool.reason"

# Of the semantic conventions.
_SYSTEM = "db.system.name"
_POOL = "db.client.connection.pool.name"
_ERROR = "error.type"

_HEADERS = ("traceparent", "tracestate")


class Seat(Protocol):
    """What a span tells of a tenant of the core."""

    @property
    def name(self) -> str:
        """The tenant."""

    @property
    def limits(self) -> Limits:
        """Those of its tier."""

    @property
    def pool(self) -> Pool:
        """Where its connections are."""


class Limits(Protocol):
    """Of a tier."""

    @property
    def tier(self) -> str:
        """Its name."""


class Pool(Protocol):
    """Of a tenant, or of several."""

    @property
    def name(self) -> str:
        """Its name."""


class Request(Protocol):
    """A message that carries a trace."""

    tenant: str
    traceparent: str
    tracestate: str


class LeaseSpan:
    """The span of one lease. Nothing here blocks, and nothing raises."""

    __slots__ = ("_before", "_inside", "_on", "_span")

    def __init__(self, on: Tracing, span: Span) -> None:
        self._on = on
        self._span = span
        self._before: Context | None = None
        self._inside: Context | None = None

    def __repr__(self) -> str:
        state = "open" if self._span.is_recording() else "ended, or not sampled"
        return f"<{type(self).__name__} {state}>"

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around the request: the span is current from here on, unless it is refused."""
        context = self._on.context
        self._before = context.get_current()
        self._inside = self._on.trace.set_span_in_context(self._span, self._before)
        context.attach(self._inside)
        try:
            yield
        except BaseException as error:
            self.refused(error)
            raise

    def seated(self, tenant: Seat, database: str) -> None:
        """It is known whose connection it will be."""
        self._span.set_attributes(_attributes(tenant, database))

    def granted(self, waited: float, lease_id: str = "") -> None:
        """After *waited* seconds."""
        self._span.add_event(_GRANTED, {_WAIT: waited})
        if lease_id:
            self._span.set_attribute(_LEASE_ID, lease_id)

    def refused(self, error: BaseException) -> None:
        """There will be no lease: this is the end."""
        self.leave(error)
        self.cut()

    def leave(self, error: BaseException | None = None) -> None:
        """The block has ended, with an *error* or well: the span is current no more."""
        if error is not None:
            self._fail(error)
        # Not by a token: it would complain where a lease is given back by another task.
        if self._inside is not None and self._on.context.get_current() is self._inside:
            assert self._before is not None
            self._on.context.attach(self._before)
        self._inside = None

    def end(self, reason: str = "") -> None:
        """It came back, or was taken away for this *reason*; nothing more if it was cut."""
        self.leave()
        self.cut(reason)

    def cut(self, reason: str = "") -> None:
        """The lease is over, wherever its holder is: for that the span is still current."""
        if self._span.is_recording():
            if reason:
                self._span.add_event(_ENDED, {_REASON: reason})
            self._span.end()

    def _fail(self, error: BaseException) -> None:
        """Only errors of ours are told in words: others may hold data."""
        if not self._span.is_recording():
            return
        trace = self._on.trace
        name = error.reason if isinstance(error, Refused) else type(error).__qualname__
        words = str(error) if isinstance(error, TenantpoolError) else name
        self._span.set_attribute(_ERROR, str(name))
        self._span.set_status(trace.StatusCode.ERROR, words)


class Tracing:
    """Makes the spans, of one tracer provider."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        from tenantpool import __version__

        self.context = context
        self.trace = trace
        self._tracer = provider.get_tracer("tenantpool", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} by {self._tracer!r}>"

    @property
    def is_idle(self) -> bool:
        """Whether its provider makes no spans at all (``OTEL_SDK_DISABLED``)."""
        return isinstance(self._tracer, self.trace.NoOpTracer)

    def lease(self, tenant: Seat, database: str) -> LeaseSpan:
        """The span of a lease of a manager in this process."""
        return self._start(self.trace.SpanKind.INTERNAL, _attributes(tenant, database))

    def borrowed(self, tenant: str) -> LeaseSpan:
        """The span of a lease that the service is asked for."""
        return self._start(self.trace.SpanKind.CLIENT, {_TENANT: tenant, _SYSTEM: "postgresql"})

    def served(self, request: Request) -> LeaseSpan:
        """The span of a lease that the service lends; its parent is what the *request* says."""
        carrier = {name: getattr(request, name) for name in _HEADERS}
        parent = self._propagator.extract(carrier, context=self.context.Context())
        return self._start(self.trace.SpanKind.SERVER, {_TENANT: request.tenant}, parent)

    def inject(self, request: Request) -> None:
        """Let *request* carry the span that is current."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        for name, value in carrier.items():
            setattr(request, name, value)

    def _start(
        self, kind: SpanKind, attributes: Mapping[str, str], parent: Context | None = None
    ) -> LeaseSpan:
        span = self._tracer.start_span(_NAME, parent, kind, attributes)
        return LeaseSpan(self, span)


on: Tracing | None = None
"""None: nobody wants spans."""
_is_told = False


def find() -> None:
    """Look for a tracer provider of the application, once it is needed. Does not block."""
    global on
    trace = sys.modules.get("opentelemetry.trace")
    # Where nobody has imported it, nobody has set a provider.
    if on is not None or _is_told or trace is None:
        return
    provider = trace.get_tracer_provider()
    if not isinstance(provider, trace.ProxyTracerProvider):
        found = Tracing(provider)
        on = None if found.is_idle else found


def use(provider: TracerProvider | None) -> None:
    """Make spans with this *provider*, whatever the application has set; None: make none."""
    global on, _is_told
    _is_told = True
    on = Tracing(provider) if provider is not None else None


def leave(span: LeaseSpan | None) -> None:
    """A lease that was acquired without a block: its span, if any, is not the caller's."""
    if span is not None:
        span.leave()


def adopt(request: Request, headers: Iterable[tuple[str, str | bytes]]) -> None:
    """Let *request* carry what the *headers* of its call say, unless it says so itself."""
    if not request.traceparent:
        for name, value in headers:
            if name in _HEADERS and isinstance(value, str):
                setattr(request, name, value)


def _attributes(tenant: Seat, database: str) -> dict[str, str]:
    return {
        _TENANT: tenant.name,
        _TIER: tenant.limits.tier,
        _DATABASE: database,
        _POOL: tenant.pool.name,
        _SYSTEM: "postgresql",
    }
