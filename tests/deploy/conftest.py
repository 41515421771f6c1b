"""A service with the configuration of deploy/compose, on a PostgreSQL of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tenantpool.client import LeaseClient
from tests.cli.serving import Serving
from tests.deploy.files import COMPOSE, UID, documents, settings

TOKEN = "the-token-of-the-remote-worker"


@pytest.fixture(scope="module")
def served() -> Iterator[Serving]:
    """Where the databases, the ports and the user of the image are this machine's.

    Its databases have the tables that deploy/compose/tenants.sql makes.
    """
    config = documents(COMPOSE / "config" / "tenantpool.yaml")[0]
    assert settings(config).databases["main"].capacity == 40
    del config["databases"]
    service: dict[str, Any] = config["service"]
    del service["folder"]
    service |= {"listen": ["127.0.0.1"], "grpc_port": 0, "gateway_port": 0}
    identities = service["identities"]
    identities["operator"]["token"] = "the-token-of-the-operator"
    identities["remote"]["token"] = TOKEN
    assert identities["local"]["uids"] == [UID]
    identities["local"]["uids"] = [os.geteuid()]
    with Serving(config) as serving:
        script = (COMPOSE / "tenants.sql").read_text()
        _, *parts = re.split(r"^\\connect (\w+)$", script, flags=re.MULTILINE)
        with LeaseClient(serving.target) as leases:
            for tenant, tables in zip(parts[::2], parts[1::2], strict=True):
                with leases.connection(tenant) as conn:
                    conn.execute(tables)
        yield serving
