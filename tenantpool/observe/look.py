"""What the pages are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tenantpool.core.database import Database
from tenantpool.core.tenant import Tenant
from tenantpool.manager._async.shell import AsyncShell

from .activity import Watcher
from .advisor import Advisor
from .hub import Hub
from .source import Source

Query: TypeAlias = Mapping[str, str]
"""What comes after the ``?`` of an address."""
Values: TypeAlias = dict[str, Any]
"""What a template is given."""


@dataclass(frozen=True, slots=True)
class Look:
    """A service and what is remembered of it."""

    source: Source
    hub: Hub
    watcher: Watcher
    advisor: Advisor

    def seat(self, name: str) -> tuple[AsyncShell, Tenant] | None:
        """Where the tenant is served, if it was asked for before; it is not brought into being."""
        for shell in self.source.manager.shells.values():
            tenant = shell.core.tenants.get(name)
            if tenant is not None:
                return shell, tenant
        return None

    @property
    def cores(self) -> list[Database]:
        """The cores of all databases."""
        return [shell.core for shell in self.source.manager.shells.values()]

    @property
    def tiers(self) -> list[str]:
        """The tiers, in the order of the configuration."""
        return list(self.source.manager.settings.tiers)
