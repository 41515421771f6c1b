"""The catalog: tenants read from a table or query of the operator's own in PostgreSQL."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, Field

from tenantpool.config.explain import did_you_mean
from tenantpool.config.fields import Identifier, Key, Password, Reference, Seconds
from tenantpool.config.section import Section
from tenantpool.errors import ConfigError

COLUMNS = (
    "id",
    "tier",
    "database",
    "dbname",
    "user",
    "role",
    "schema",
    "settings",
    "suspended",
)
"""What a catalog can say of a tenant, under the names that a listed tenant has for it."""

_PART = r'(?:[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|"(?:[^"]|"")+")'
_TABLE = re.compile(rf"{_PART}(?:\.{_PART})?")


def _table(value: str) -> str:
    if not _TABLE.fullmatch(value):
        raise ValueError('must be the name of a table: tenants, app.tenants or "App".tenants')
    return value


def _query(value: str) -> str:
    query = value.strip().rstrip(";").rstrip()
    if not query:
        raise ValueError("must be one SELECT")
    return query


class Statements(NamedTuple):
    """What reads a catalog."""

    copy: str
    """Sends all rows, as ``Listing.build`` takes them."""
    one: str
    """Selects the row whose id is ``$1``, as ``Listing.patch`` takes it.

    None if it is gone; two if the id is there twice.
    """


class Catalog(Section):
    """Tenants that are read from PostgreSQL, beside those in the file.

    A tenant in the file wins over its row, and a row over the template. A row says as much as an
    entry under tenants does: what is null in it comes from the template.
    """

    database: Reference | None = Field(
        None, description="Server that holds it, a key of databases; may be null if there is one."
    )
    dbname: Identifier | None = Field(
        None, description="Database on that server; null: the one of its conninfo."
    )
    user: Identifier | None = Field(
        None, description="Login role that reads it; null: the one of the conninfo."
    )
    password: Password | None = Field(
        None, description="Password of user; null: libpq looks into its password file."
    )
    table: Annotated[Key, AfterValidator(_table)] | None = Field(
        None,
        description="Table or view with the column id, and any of tier, database, dbname, user, "
        "role, schema, settings (a JSON object) and suspended. Other columns are left alone.",
        examples=["tenants", "app.tenants"],
    )
    query: Annotated[Key, AfterValidator(_query)] | None = Field(
        None,
        description="One SELECT that gives such columns, and no others; instead of table.",
        examples=["SELECT id, plan AS tier, blocked AS suspended FROM customers"],
    )
    channel: Identifier | None = Field(
        None,
        description="Channel of NOTIFY on which changes are told, with the id of the tenant as "
        "payload, or none if many changed; null: only the interval counts.",
        examples=["tenants_changed"],
    )
    interval: Seconds = Field(
        60.0, description="How often the whole catalog is read again, in seconds."
    )

    @property
    def probe(self) -> str:
        """A statement without rows, whose result tells which columns there are."""
        return f"SELECT * FROM ({self._source}\n) AS tenants LIMIT 0"

    def columns(self, found: Iterable[str]) -> tuple[str, ...]:
        """Those to be read of the columns *found*, the id first.

        Raises ConfigError if there is no id, or a query gives one that means nothing.
        """
        times = Counter(found)
        if not times["id"]:
            raise ConfigError(self._place, "gives no column id", did_you_mean("id", times))
        unknown = next((name for name in times if name not in COLUMNS), None)
        if unknown is not None and self.query is not None:
            text = f"gives a column {unknown}, which means nothing"
            raise ConfigError(self._place, text, did_you_mean(unknown, COLUMNS))
        twice = next((name for name in COLUMNS if times[name] > 1), None)
        if twice is not None:
            raise ConfigError(self._place, f"gives the column {twice} twice")
        return tuple(name for name in COLUMNS if times[name])

    def statements(self, columns: Iterable[str]) -> Statements:
        """What reads those *columns*."""
        cells = ", ".join(f'"{name}"::text' for name in columns)
        rows = f"SELECT {cells} FROM ({self._source}\n) AS tenants"
        # In the order of bytes, whatever the encoding of the database.
        ordered = f"{rows} ORDER BY convert_to(\"id\"::text, 'UTF8')"
        return Statements(
            copy=f"COPY ({ordered}) TO STDOUT (FORMAT text, ENCODING 'UTF8')",
            one=f'{rows} WHERE "id"::text = $1 LIMIT 2',
        )

    @property
    def _source(self) -> str:
        return self.query if self.query is not None else f"TABLE {self.table}"

    @property
    def _place(self) -> str:
        return "catalog.table" if self.query is None else "catalog.query"
