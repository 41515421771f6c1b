"""What must fit together in the section ``service``, checked before anything opens."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import TYPE_CHECKING

from tenantpool.config.explain import Problem, did_you_mean
from tenantpool.config.service import EVERYBODY, UNENCRYPTED, IdentityRule, Service, Tls

if TYPE_CHECKING:
    from tenantpool.config.settings import Settings

Loc = tuple[str, ...]


def check_service(settings: Settings) -> Iterator[Problem]:
    """Everything in the section that does not fit together."""
    service = settings.service
    yield from _check_listen(service)
    yield from _check_times(service)
    if service.tls is not None:
        yield from _check_tls(service.tls)
    for name, rule in service.identities.items():
        yield from _check_identity(settings, ("service", "identities", name), rule)
    yield from _check_twins(service)


def is_loopback(host: str) -> bool:
    """Whether only this host reaches *host*, a name or an address."""
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _check_listen(service: Service) -> Iterator[Problem]:
    if not service.listen and service.folder is None:
        yield Problem(("service", "listen"), "is empty, and there is no folder", "set one of them")
    if service.grpc_port == service.gateway_port != 0:
        yield Problem(("service", "gateway_port"), "is that of grpc_port too", "take another one")
    yield from _check_http(service)
    public = [host for host in service.listen if not is_loopback(host)]
    if not public or service.open_to_everybody is not None:
        return
    loc = ("service", "listen")
    if not service.identities:
        text = f"{public[0]} can be reached by others, and nobody has to prove who they are"
        yield Problem(loc, text, f'set identities, or open_to_everybody: "{EVERYBODY}"')
    elif service.tls is None and service.unencrypted is None:
        text = f"{public[0]} can be reached by others, and nothing is encrypted"
        yield Problem(loc, text, f'set tls, or unencrypted: "{UNENCRYPTED}"')


def _check_http(service: Service) -> Iterator[Problem]:
    if service.http_port is None:
        return
    for field in ("grpc_port", "gateway_port"):
        if service.http_port == getattr(service, field) != 0:
            yield Problem(("service", "http_port"), f"is that of {field} too", "take another one")
    public = [host for host in service.http_listen or [] if not is_loopback(host)]
    if public and service.tls is None and service.unencrypted is None:
        text = f"{public[0]} can be reached by others, and tokens would not be encrypted"
        fix = f'set tls, or unencrypted: "{UNENCRYPTED}"'
        yield Problem(("service", "http_listen"), text, fix)


def _check_times(service: Service) -> Iterator[Problem]:
    if service.lease_ttl > service.lease_ttl_max:
        text = f"{service.lease_ttl:g} is more than lease_ttl_max {service.lease_ttl_max:g}"
        yield Problem(("service", "lease_ttl"), text)


def _check_tls(tls: Tls) -> Iterator[Problem]:
    loc = ("service", "tls")
    for field, path in tls.files():
        if not os.path.isfile(path):
            yield Problem((*loc, field), f"there is no file {path}")
        elif not os.access(path, os.R_OK):
            yield Problem((*loc, field), f"{path} cannot be read")


# -- identities --------------------------------------------------------------------------------


def _check_identity(settings: Settings, loc: Loc, rule: IdentityRule) -> Iterator[Problem]:
    service = settings.service
    if not (rule.token or rule.tokens or rule.certificates or rule.uids):
        yield Problem(loc, "cannot be told from anybody", "set token, certificates or uids")
    if rule.certificates and (service.tls is None or service.tls.client_ca is None):
        text = "cannot be checked without service.tls.client_ca"
        yield Problem((*loc, "certificates"), text, "set it too")
    if rule.uids and service.folder is None:
        yield Problem((*loc, "uids"), "are known on Unix sockets only", "set service.folder too")
    if rule.lease and not (rule.tenants or rule.administer or rule.observe):
        yield Problem((*loc, "tenants"), "is missing: it may do nothing", 'name some, or "*"')
    for tenant in rule.tenants:
        yield from _check_tenant(settings, (*loc, "tenants"), tenant)


def _check_tenant(settings: Settings, loc: Loc, pattern: str) -> Iterator[Problem]:
    if any(fnmatchcase(name, pattern) for name in settings.tenants):
        return
    is_name = not any(letter in pattern for letter in "*?[")
    fits = not is_name or re.fullmatch(settings.template.pattern, pattern)
    if settings.template.enabled and fits:
        return  # the template takes it, or may take a name like that
    hint = did_you_mean(pattern, settings.tenants)
    yield Problem(loc, f"{pattern} is no tenant" if is_name else f"{pattern} fits no tenant", hint)


def _check_twins(service: Service) -> Iterator[Problem]:
    """What tells identities apart belongs to one of them."""
    first: dict[tuple[str, str], str] = {}
    for name, rule in service.identities.items():
        for field, kind, mark in _marks(rule):
            by = first.setdefault((kind, mark), name)
            if by != name:
                text = f"belongs to service.identities.{by} already"
                loc = ("service", "identities", name, field)
                yield Problem(loc, f"{kind} {text}", "give it to one only")


def _marks(rule: IdentityRule) -> Iterator[tuple[str, str, str]]:
    """What the identity is known by: the field, what it is, and the thing itself."""
    for token in rule.all_tokens():
        yield "token" if rule.token is not None else "tokens", "a token", token
    for pattern in rule.certificates:
        yield "certificates", "a certificate", pattern
    for uid in rule.uids:
        yield "uids", "a uid", str(uid)
