"""The effective configuration as YAML, without any secret."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import yaml
from pydantic_core import to_jsonable_python

from tenantpool.config.catalog import Catalog
from tenantpool.config.conninfo import HIDDEN, hide_conninfo
from tenantpool.config.models import Database
from tenantpool.config.service import IdentityRule, Service
from tenantpool.config.tenants import Tenant

if TYPE_CHECKING:
    from tenantpool.config.settings import Settings


def effective_yaml(settings: Settings, most_tenants: int | None = None) -> str:
    """Everything in force, defaults included, with ``***`` for each password.

    Of tenants, only what differs from an empty entry is shown, and of no more than *most_tenants*.
    """
    sections = {name: getattr(settings, name) for name in type(settings).model_fields}
    sections["databases"] = {name: _database(db) for name, db in settings.databases.items()}
    tenants = islice(settings.tenants.items(), most_tenants)
    sections["tenants"] = {name: _written(tenant) for name, tenant in tenants}
    sections["service"] = _service(settings.service)
    if settings.catalog is not None:
        sections["catalog"] = _plain(settings.catalog)
    shown: str = yaml.safe_dump(
        to_jsonable_python(sections), sort_keys=False, allow_unicode=True, width=100
    )
    return shown


def _database(database: Database) -> dict[str, Any]:
    conninfo = hide_conninfo(database.conninfo.get_secret_value())
    return _plain(database) | {"conninfo": conninfo}


def _written(tenant: Tenant) -> dict[str, Any]:
    return {key: value for key, value in _plain(tenant).items() if value}


def _service(service: Service) -> dict[str, Any]:
    values: dict[str, Any] = to_jsonable_python(service)
    identities = {name: _identity(rule) for name, rule in service.identities.items()}
    return values | {"identities": identities}


def _identity(rule: IdentityRule) -> dict[str, Any]:
    """What the rule says, with its tokens as ``***``."""
    values: dict[str, Any] = to_jsonable_python(rule)
    token = HIDDEN if rule.token is not None else None
    return values | {"token": token, "tokens": [HIDDEN for _ in rule.tokens]}


def _plain(section: Database | Tenant | Catalog) -> dict[str, Any]:
    """Values that YAML knows, with a set password as ``***``."""
    values: dict[str, Any] = to_jsonable_python(section)
    return values | {"password": HIDDEN if section.password else None}
