"""What tracing costs those who do not want it: nothing is imported."""

from __future__ import annotations

import os
import subprocess
import sys


def test_nothing_of_opentelemetry_is_imported_until_the_application_does():
    script = (
        "import sys, tenantpool.client, tenantpool.service.server\n"
        "from tenantpool import tracing\n"
        "tracing.find()\n"
        "assert tracing.on is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "from opentelemetry import trace\n"
        "tracing.find()\n"
        "assert tracing.on is None, 'nobody has set a provider'\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "tracing.find()\n"
        "assert tracing.on is not None\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_disabled_sdk_makes_no_spans():
    script = (
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from tenantpool import tracing\n"
        "trace.set_tracer_provider(TracerProvider())\n"
        "tracing.find()\n"
        "assert tracing.on is None\n"
    )
    environ = {**os.environ, "OTEL_SDK_DISABLED": "true"}
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, env=environ)
