"""What was traced during a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from tenantpool import tracing


class Spans:
    """Keeps the spans that have ended, the first one first."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def tracer(self) -> Tracer:
        """The application's own."""
        return self.provider.get_tracer("application")

    @property
    def ended(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def one(self) -> ReadableSpan:
        """The only one."""
        (span,) = self.ended
        return span


@pytest.fixture
def spans() -> Iterator[Spans]:
    """All that ends while the test runs; leases are traced."""
    found = Spans()
    tracing.use(found.provider)
    try:
        yield found
    finally:
        tracing.use(None)
        found.provider.shutdown()
