"""Who asks, and what they may do."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import translate
from hashlib import sha256
from typing import NamedTuple

from tenantpool.config.service import IdentityRule, Service
from tenantpool.errors import NotAuthenticated

_NOTHING = re.compile(r"(?!)")


class ByToken(NamedTuple):
    """Somebody showed the token with this digest."""

    digest: bytes


class ByUser(NamedTuple):
    """A user of this host came over a Unix socket; None: it is not known which."""

    uid: int | None


class ByAddress(NamedTuple):
    """Somebody came over TCP, with the names in a certificate that was verified."""

    is_loopback: bool
    names: tuple[str, ...]


Proof = ByToken | ByUser | ByAddress
"""How somebody has proved who they are: it can be tried again when the rules have changed."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who may use the service. It knows no secret."""

    name: str
    can_lease: bool = True
    """Whether it may lease at all; ``may_lease`` says whose connections."""
    may_administer: bool = False
    may_observe: bool = False
    """Whether it may look at everything; who administers may."""
    may_direct: bool = False
    """Whether it may get a database's password."""
    max_leases: int | None = None
    max_sessions: int | None = None
    tenants: re.Pattern[str] = field(default=_NOTHING, repr=False)
    proof: Proof = field(default=ByUser(None), repr=False, compare=False)

    def may_lease(self, tenant: str) -> bool:
        """Whether it may lease connections of *tenant*."""
        return self.can_lease and self.tenants.fullmatch(tenant) is not None


class Guard:
    """Tells who asks, by a token, a client certificate or the user of this host that asks.

    A token that is shown must be right: nothing else is tried then. Without any identity in the
    configuration there is one, ``local``: the service's own user and root, on this host.
    """

    def __init__(self, service: Service) -> None:
        self.adopt(service)

    def adopt(self, service: Service) -> None:
        """Follow the rules of *service* from now on: those known before may not be any more."""
        rules = service.identities
        identities = {name: _identity(name, rule) for name, rule in rules.items()}
        self._tokens = [
            (digest, replace(identities[name], proof=ByToken(digest)))
            for name, rule in rules.items()
            for digest in map(_digest, rule.all_tokens())
        ]
        self._by_name = identities
        self._certificates = [
            (re.compile(translate(_spelled(pattern))), identities[name])
            for name, rule in rules.items()
            for pattern in rule.certificates
        ]
        everything = _any_of(["*"])
        local = Identity(
            "local", may_administer=True, may_observe=True, may_direct=True, tenants=everything
        )
        users = {uid: identities[name] for name, rule in rules.items() for uid in rule.uids}
        if not rules:
            users = dict.fromkeys((os.geteuid(), 0), local)
        self._users = {uid: replace(who, proof=ByUser(uid)) for uid, who in users.items()}
        self._local = None if rules else replace(local, proof=ByAddress(True, ()))
        self._everybody = (
            Identity("everybody", tenants=everything) if service.open_to_everybody else None
        )

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {len(self._tokens)} tokens, "
            f"{len(self._certificates)} certificates, {len(self._users)} users>"
        )

    @property
    def is_private(self) -> bool:
        """Whether all whom it may know on this host are the service's own user and root."""
        own = {os.geteuid(), 0}
        return not self._tokens and self._users.keys() <= own and self._everybody is None

    @property
    def knows_certificates(self) -> bool:
        """Whether anybody is known by a client certificate."""
        return bool(self._certificates)

    @property
    def knows_tokens(self) -> bool:
        """Whether anybody is known by a token."""
        return bool(self._tokens)

    @property
    def trusts_host(self) -> bool:
        """Whether no identity is configured: who comes from this host need not say who it is."""
        return self._local is not None

    def named(self, name: str) -> Identity | None:
        """The identity of that name, if there is one (still)."""
        return self._by_name.get(name)

    def on_unix(self, uid: int | None, token: str = "") -> Identity:
        """Who the user *uid* of this host is (None: not known). Raises NotAuthenticated."""
        if token:
            return self.by_token(token)
        if uid is not None and uid in self._users:
            return self._users[uid]
        return self._stranger(f"user {uid} of this host" if uid is not None else "", ByUser(uid))

    def on_tcp(
        self, *, is_loopback: bool, token: str = "", certificate: Iterable[str] = ()
    ) -> Identity:
        """Who has connected over TCP. Raises NotAuthenticated.

        *certificate* are the names in the client's certificate: ``CN=...``, ``DNS:...`` and
        ``URI:...``. It must have been verified.
        """
        if token:
            return self.by_token(token)
        names = tuple(_spelled(name) for name in certificate)
        proof = ByAddress(is_loopback, names)
        for pattern, identity in self._certificates:
            if any(pattern.fullmatch(name) for name in names):
                return replace(identity, proof=proof)
        if self._local is not None and is_loopback:
            return self._local
        who = f"a client with the certificate {', '.join(names)}" if names else ""
        return self._stranger(who, proof)

    def by_token(self, token: str) -> Identity:
        """Who shows this token. Raises NotAuthenticated."""
        return self._by_digest(_digest(token))

    def again(self, identity: Identity) -> Identity:
        """The same somebody by the rules of now. Raises NotAuthenticated if they know it no more.

        What proved one identity may prove another one now: that is not the same somebody.
        """
        match identity.proof:
            case ByToken(digest):
                found = self._by_digest(digest)
            case ByUser(uid):
                found = self.on_unix(uid)
            case ByAddress(is_loopback, names):
                found = self.on_tcp(is_loopback=is_loopback, certificate=names)
        if found.name != identity.name:
            raise NotAuthenticated(f"what proved {identity.name} now proves {found.name}")
        return found

    def _by_digest(self, digest: bytes) -> Identity:
        """All are compared, each in constant time: how long it takes tells nothing of any."""
        found = [who for known, who in self._tokens if hmac.compare_digest(known, digest)]
        if not found:
            raise NotAuthenticated("the token is not known here")
        return found[0]

    def _stranger(self, who: str, proof: Proof) -> Identity:
        if self._everybody is not None:
            return replace(self._everybody, proof=proof)
        known = f"{who} is not known here" if who else "it is not known who asks"
        raise NotAuthenticated(f"{known}; {', '.join(self._ways()) or 'come from this host'}")

    def _ways(self) -> Iterator[str]:
        if self._tokens:
            yield "send authorization: Bearer <token>"
        if self._certificates:
            yield "show a client certificate"


def _identity(name: str, rule: IdentityRule) -> Identity:
    return Identity(
        name,
        can_lease=rule.lease,
        may_administer=rule.administer,
        may_observe=rule.observe or rule.administer,
        may_direct=rule.direct,
        max_leases=rule.max_leases,
        max_sessions=rule.max_sessions,
        tenants=_any_of(rule.tenants),
    )


def _any_of(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns))) if patterns else _NOTHING


def _spelled(name: str) -> str:
    """A name in a certificate as it is compared: domains have no capitals."""
    if name.startswith("spiffe://"):
        return f"URI:{name}"
    return name.lower().replace("dns:", "DNS:", 1) if name.startswith("DNS:") else name


def _digest(token: str) -> bytes:
    return sha256(token.encode(errors="surrogateescape")).digest()
