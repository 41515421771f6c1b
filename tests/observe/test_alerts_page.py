"""Alerts and changes on the dashboard: shown while they fire, and kept when they are over."""

from __future__ import annotations

from html import escape
from typing import Any

import pytest

from tenantpool.config.show import effective_yaml
from tenantpool.errors import ConfigError
from tenantpool.service.reload import CALL, Origin
from tests.support.wait import wait_until_async

from .support import looking, serving, settings
from .test_tenant_page import words

FAST = {"after": 0.0, "resolve_after": 0.0}


def quick(rule: dict[str, Any]) -> Any:
    """The other alert that there would be is off: the database is nowhere."""
    off = {"enabled": False}
    return settings(alerts={"interval": 0.02, "breaker_open": off, "reload_failed": rule})


async def test_an_alert_is_on_the_overview_while_it_fires_and_in_the_list_afterwards() -> None:
    async with serving(quick(FAST)) as (server, web):
        assert "Alerts firing" not in (await web.get("/")).text
        assert 'id="alerts"' not in (await web.get("/")).text
        assert "Nothing is wrong." in (await web.get("/alerts")).text
        with pytest.raises(ConfigError):
            await server.reloader.reload(Origin(CALL), yaml="tiers: {}")
        await wait_until_async(server.alerts.firing)
        [alert] = server.alerts.firing()
        for path in "/", "/alerts":
            text = words((await web.get(path)).text)
            assert f"{alert.severity} The new configuration was refused: yaml:1" in text
            assert "ReloadFailed" in text
            assert escape(alert.description)[:40] in text
        async with looking(web, "/") as events:
            assert 'id="alerts"' in await events.next("page")
        await server.reloader.reload(Origin(CALL), yaml=effective_yaml(server.settings))
        await wait_until_async(lambda: not server.alerts.firing())
        assert 'id="alerts"' not in (await web.get("/")).text
        page = (await web.get("/alerts")).text
        assert "Nothing is wrong." in page
        assert "ReloadFailed" in page.partition('id="resolved"')[2]


async def test_what_is_pending_is_counted_on_the_overview_and_shown_in_the_list() -> None:
    async with serving(quick({"after": 600})) as (server, web):
        with pytest.raises(ConfigError):
            await server.reloader.reload(Origin(CALL), yaml="tiers: {}")
        await wait_until_async(server.alerts.pending)
        overview = words((await web.get("/")).text)
        assert "Alerts 1 pending" in overview
        assert "ReloadFailed" not in overview
        assert "They fire if it stays like this." in words((await web.get("/alerts")).text)


async def test_the_last_changes_of_the_configuration_say_who_and_what() -> None:
    async with serving(settings()) as (server, web):
        text = words((await web.get("/configuration")).text)
        assert "It was not changed since the service started." in text
        assert f"digest {server.manager.roster.digest[:12]}" in text
        with pytest.raises(ConfigError):
            await server.reloader.reload(Origin(CALL), yaml="tiers: {}")
        yaml = effective_yaml(server.settings).replace("cap: 5", "cap: 4", 1)
        before = server.manager.roster.digest
        await server.reloader.reload(Origin(CALL, server.guard.named("operator")), yaml=yaml)
        text = words((await web.get("/configuration")).text)
        outcome = server.reloader.recent[0]
        assert f"digest {before[:12]} → {server.manager.roster.digest[:12]}" in text
        assert escape(outcome.changes[0]) in text
        assert text.index("applied Reload") < text.index("refused Reload")
        assert "databases: is missing" in text
