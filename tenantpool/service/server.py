"""The whole service: the manager, and everything through which others reach it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tenantpool.config import Settings
from tenantpool.config.roster import Roster
from tenantpool.config.service import AUTO
from tenantpool.errors import ConfigError, NotAuthenticated
from tenantpool.gateway.listener import Gateway
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.observe.alerts.watch import Alerts
from tenantpool.v1.lease_pb2 import GatewayAddress

from .channel import NAME as CHANNEL_SOCKET
from .channel import ChannelServer
from .desk import Desk
from .findings import Findings
from .folder import Folder, default_folder
from .identity import Guard, Identity
from .lockout import lockouts
from .override_store import OverrideStore, state_folder
from .overriding import Overriding, in_force, without_effect
from .reload import FILE, Origin, Reloader
from .rpc_server import RpcServer
from .source import Source
from .tls import Certificates
from .watcher import Watcher

if TYPE_CHECKING:
    from tenantpool.observe.http_server import HttpServer

_WILDCARDS = {"0.0.0.0", "::", "*"}


class Server:
    """Lends connections to other processes, from ``start`` to ``stop``.

    Belongs to the event loop that started it. *source* is where the settings came from; it is read
    again when it changes, or when somebody says so.
    """

    def __init__(self, settings: Settings, source: Source | None = None) -> None:
        """Check what can be checked. Raises ConfigError; nothing is opened."""
        rules = settings.service
        self.guard = Guard(rules)
        self._store = OverrideStore(state_folder(rules), rules.name)
        roster = Roster(settings, overrides=in_force(self._store.load(), time.time()))
        path = default_folder() if rules.folder == AUTO else rules.folder
        self.folder = Folder(Path(path)) if path is not None else None
        self.manager = AsyncManager(
            roster,
            mark=f"tenantpool/{rules.name}",
            register=self.folder.path / f"{rules.name}.backends" if self.folder else None,
        )
        self.desk = Desk(self.manager, rules)
        certificates = Certificates(rules.tls) if rules.tls is not None else None
        self.source = source if source is not None else Source()
        self.reloader = Reloader(self.manager, self.source, follower=self)
        self.overriding = Overriding(self.reloader, self._store)
        self.alerts = Alerts(self.manager, self._reload_problem)
        steering = (self.reloader, self.overriding, self.alerts)
        self.rpc = RpcServer(self.desk, self.manager, self.guard, *steering, certificates)
        self.gateway = Gateway(
            self.desk.switchboard,
            tls=certificates.context if certificates is not None else None,
            # As gRPC does: where there is a certificate, nobody comes without TLS.
            require_tls=certificates is not None,
            admits=self._admits,
            startup_timeout=rules.startup_timeout,
            max_startups=rules.max_startups,
        )
        self.http = self._make_http(certificates) if rules.http_port is not None else None
        self._channels: ChannelServer | None = None
        self._watcher: Watcher | None = None
        self._hurries = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.desk!r}>"

    async def start(self) -> None:
        """Listen everywhere, and lend.

        Blocks until backends of a crashed predecessor are gone, as far as that takes to know the
        capacity. Raises ConfigError if an address cannot be had; nothing is left open then.
        """
        try:
            if self.folder is not None:
                self.folder.claim()
            self._store.claim()
            await self.manager.open()
            self.desk.start()
            await self._listen()
            self.overriding.start()
            if self.source.changes:
                self._watch()
            self.alerts.start()
        except BaseException:
            await self.stop(0.0)
            raise

    async def stop(self, grace: float | None = None) -> int:
        """Take no new leases, tell everybody, wait *grace* seconds, then end what is left.

        *grace* is ``drain_grace`` by default. Return how many leases were not given back in time.
        Blocks until every backend is gone.
        """
        if grace is None:
            grace = self.settings.service.drain_grace
        if self._watcher is not None:
            await self._watcher.stop()
        await self.overriding.stop()
        await self.reloader.close()
        await self.rpc.refuse()
        late = await self.desk.close(0.0 if self._hurries else grace)
        if self._channels is not None:
            self._channels.close()
        await self.gateway.close()
        await self.rpc.stop()
        if self.http is not None:
            await self.http.stop()
        await self.alerts.stop()
        await self.manager.close(0.0)
        self._store.release()
        if self.folder is not None:
            self.folder.release()
        return late

    def hurry(self) -> None:
        """Let a ``stop`` that is under way, or to come, not wait for leases. Does not block."""
        self._hurries = True
        self.desk.ledger.hurry()

    @property
    def settings(self) -> Settings:
        """What is in force."""
        return self.manager.settings

    @property
    def findings(self) -> Findings:
        """What query insight has found, in the workers and here."""
        return self.desk.findings

    async def reload(self, source: str) -> None:
        """Read the configuration again, because *source* says so. What is wrong is in the log."""
        await self.reloader.reload_and_log(Origin(source))

    def check(self, settings: Settings) -> list[ConfigError]:
        """What it cannot follow while it runs: see ``Reloader``."""
        if self.folder is None or self.rpc.is_private or not Guard(settings.service).is_private:
            return []
        problem = "nobody but the service's own user is left, and grpc.sock is open to all"
        return [ConfigError("service.identities", f"{problem}: needs a restart")]

    def warn(self, settings: Settings, caller: Identity | None) -> list[str]:
        """Whom these would lock out, and which overrides would have no effect any more."""
        workers = (worker.identity for worker in self.desk.sessions.workers.values())
        locked_out = lockouts(self.settings.service, settings.service, caller, workers)
        return [*locked_out, *without_effect(self.manager.roster.overrides, settings)]

    def adopt(self, settings: Settings) -> None:
        """Follow the section ``service`` of these from now on. Does not block."""
        rules = settings.service
        self.guard.adopt(rules)
        self.desk.adopt(rules, self.guard.again)
        self.rpc.adopt(rules, self.guard)
        self.gateway.adopt(startup_timeout=rules.startup_timeout, max_startups=rules.max_startups)

    @property
    def targets(self) -> list[str]:
        """Where workers find it: what the clients take as their target."""
        unix = [f"unix:{self.folder.path}"] if self.folder is not None else []
        return unix + [name for name in self.rpc.addresses if not name.startswith("unix:")]

    @property
    def gateways(self) -> list[GatewayAddress]:
        """Where the gateway listens; an empty host is every address of this one."""
        return self.desk.switchboard.gateways

    @property
    def is_at_default_folder(self) -> bool:
        """Whether clients that are told nothing find it."""
        return self.folder is not None and self.folder.path == default_folder()

    async def _listen(self) -> None:
        """The gateway first: from then on leases can name it."""
        rules = self.settings.service
        folder = self.folder.path if self.folder is not None else None
        if folder is not None:
            port = await self.gateway.listen_unix(folder, rules.gateway_port)
            self.gateways.append(GatewayAddress(host=str(folder), port=port))
        for host in rules.listen:
            port = await self.gateway.listen_tcp(host, rules.gateway_port)
            self.gateways.append(GatewayAddress(host="" if host in _WILDCARDS else host, port=port))
        await self.rpc.start(rules.listen, rules.grpc_port, folder)
        if folder is not None:
            self._channels = ChannelServer(self.desk, folder / CHANNEL_SOCKET, self.guard.on_unix)
            self._channels.start()

        if self.http is not None and rules.http_port is not None:
            hosts = rules.listen if rules.http_listen is None else rules.http_listen
            await self.http.start(hosts, rules.http_port)

    def _watch(self) -> None:
        async def changed() -> None:
            await self.reload(FILE)

        self._watcher = Watcher(self.source.files, changed, seen=self.source.seen or None)
        self._watcher.start()

    def _make_http(self, certificates: Certificates | None) -> HttpServer:
        # A quarter of a second to import, for those only who want it.
        from tenantpool.observe.http_server import HttpServer
        from tenantpool.observe.source import Source as Observed

        observed = Observed(
            manager=self.manager,
            desk=self.desk,
            guard=self.guard,
            meter=self.rpc.meter,
            reloader=self.reloader,
            overriding=self.overriding,
            alerts=self.alerts,
            findings=self.findings,
        )
        return HttpServer(observed, certificates)

    def _reload_problem(self) -> str:
        """Why the last reload was refused, in a line; empty: it was not."""
        latest = self.reloader.latest
        return "" if latest is None or latest.worked else next(iter(latest.lines), "see the log")

    def _admits(self, uid: int) -> bool:
        """Whether that user of this host may come to the gateway's Unix socket at all.

        What it may do there is what its ticket or pass says.
        """
        if uid in (0, os.geteuid()):
            return True
        try:
            self.guard.on_unix(uid)
        except NotAuthenticated:
            return bool(self.settings.service.identities)
        return True
