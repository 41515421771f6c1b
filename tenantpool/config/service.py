"""The service as the operator writes it: where it listens, whom it knows, how long leases live."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints

from tenantpool.config.fields import (
    Count,
    CountFromOne,
    Key,
    Port,
    Seconds,
    SecondsOrZero,
    TenantsShown,
)
from tenantpool.config.section import RESTART, Section, no_nulls

EVERYBODY = "anybody who reaches this address may use every tenant"
"""What an operator has to write to open a service to a network without authentication."""

UNENCRYPTED = "anybody on the way may read the tokens and the data"
"""What an operator has to write to let a network have them without TLS."""

AUTO = "auto"

_LONGEST_FOLDER = 90
"""Bytes: the path of a Unix socket in it must not be longer than 107."""

_TOKEN = re.compile(r"[\x21-\x7e]{16,}")
"""It travels in a header, and must not be found by trying."""

_CERTIFICATE = re.compile(r"(CN=|DNS:|URI:|spiffe://).+")


def _sentence(words: str) -> AfterValidator:
    def check(value: str) -> str:
        if value != words:
            raise ValueError(f'must be exactly "{words}"')
        return value

    return AfterValidator(check)


def _state(value: str) -> str:
    if value != AUTO and not value.startswith("/"):
        raise ValueError("must be auto, null, or a path that starts with /")
    return value


def _folder(value: str) -> str:
    _state(value)
    if len(value.encode()) > _LONGEST_FOLDER:
        raise ValueError(f"must not be longer than {_LONGEST_FOLDER} bytes, as sockets go into it")
    return value


def _host(value: str) -> str:
    if re.search(r"[\s/\[\]]", value):
        raise ValueError("must be a host name or an address, without a port")
    return value


def _token(value: SecretStr) -> SecretStr:
    if not _TOKEN.fullmatch(value.get_secret_value()):
        raise ValueError("must have at least 16 characters, all of them printable ASCII, no blanks")
    return value


def _certificate(value: str) -> str:
    if not _CERTIFICATE.fullmatch(value):
        raise ValueError("must start with CN=, DNS:, URI: or spiffe://")
    return value


Host = Annotated[Key, AfterValidator(_host)]
Token = Annotated[SecretStr, AfterValidator(_token)]
CertificatePattern = Annotated[str, AfterValidator(_certificate)]
ServiceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,30}\z")]
IdentityName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.@-]{1,63}\z")]


class Tls(Section):
    """The certificate that the service shows. The files are read again when they change."""

    certificate: Annotated[Key, RESTART] = Field(
        description="File with the certificate chain, as PEM."
    )
    key: Annotated[Key, RESTART] = Field(
        description="File with its private key, as PEM, without a passphrase."
    )
    client_ca: Annotated[Key | None, RESTART] = Field(
        None,
        description="File with the authorities of client certificates, as PEM. Every client has to "
        "show a certificate of theirs then; null: none has to.",
    )

    def files(self) -> Iterator[tuple[str, str]]:
        """The files by the field that names them."""
        yield "certificate", self.certificate
        yield "key", self.key
        if self.client_ca is not None:
            yield "client_ca", self.client_ca


class IdentityRule(Section):
    """Somebody who may use the service: how it is known, and what it may do."""

    token: Token | None = Field(None, description="Secret that it sends along.")
    tokens: list[Token] = Field(
        default_factory=list, description="Further tokens, so that one can be replaced."
    )
    certificates: list[CertificatePattern] = Field(
        default_factory=list,
        description="Names in its client certificate: CN=..., DNS:..., URI:... or spiffe://...; "
        "* stands for anything.",
        examples=[["CN=worker"], ["spiffe://example.com/ns/prod/*"]],
    )
    uids: list[Count] = Field(
        default_factory=list, description="Users of this host, by number, on the Unix sockets."
    )
    tenants: list[Key] = Field(
        default_factory=list,
        description="Tenants that it may lease; * stands for anything.",
        examples=[["acme", "team-*"], ["*"]],
    )
    lease: bool = Field(True, description="Whether it may lease connections of its tenants.")
    administer: bool = Field(False, description="Whether it may look at everything and steer it.")
    observe: bool = Field(
        False, description="Whether it may look at the dashboard and the metrics, no more."
    )
    direct: bool = Field(
        False,
        description="Whether it may get a database's password, to connect by itself. Databases "
        "with TLS can only be lent so.",
    )
    max_leases: CountFromOne | None = Field(
        None, description="Most leases that it may hold at a time; null: no limit of its own."
    )
    max_sessions: CountFromOne | None = Field(
        None, description="Most sessions that it may have at a time; null: no limit of its own."
    )

    def all_tokens(self) -> Iterator[str]:
        """Its tokens in plain text."""
        for token in (self.token, *self.tokens):
            if token is not None:
                yield token.get_secret_value()


class Service(Section):
    """How connections are lent to other processes: ``tenantpool serve``."""

    name: Annotated[ServiceName, RESTART] = Field(
        "tenantpool",
        description="Marks its backends (application_name tenantpool/<name>). Two services on one "
        "database need different names.",
    )
    folder: Annotated[Annotated[Key, AfterValidator(_folder)] | None, RESTART] = Field(
        AUTO,
        description="Folder of the Unix sockets; null: none. auto: $XDG_RUNTIME_DIR/tenantpool, or "
        "/run/tenantpool, or one in the temporary folder.",
    )
    state: Annotated[Annotated[Key, AfterValidator(_state)] | None, RESTART] = Field(
        AUTO,
        description="Folder for what must survive a restart, such as an operator's overrides; "
        "null: none, so they end with the service. auto: $STATE_DIRECTORY (systemd sets it), or "
        "$XDG_STATE_HOME/tenantpool, or /var/lib/tenantpool for root, else "
        "~/.local/state/tenantpool.",
    )
    listen: Annotated[list[Host], RESTART] = Field(
        ["127.0.0.1"],
        description="Hosts to listen at with TCP; []: Unix sockets only.",
    )
    grpc_port: Annotated[Port, RESTART] = Field(
        7432, description="TCP port of the lease service; 0: any free one."
    )
    gateway_port: Annotated[Port, RESTART] = Field(
        6432, description="TCP port of the PostgreSQL gateway; 0: any free one."
    )
    http_port: Annotated[Port | None, RESTART] = Field(
        9432,
        description="TCP port of the dashboard, the metrics and the health checks; 0: any free "
        "one; null: none.",
    )
    http_listen: Annotated[list[Host] | None, RESTART] = Field(
        None, description="Hosts to listen at with HTTP; null: as listen."
    )
    metrics_open: bool = Field(
        False, description="Whether anybody who reaches the HTTP port may read the metrics."
    )
    metrics_tenants: TenantsShown = Field(
        20,
        description="How many tenants the metrics name, the busiest first; all: every one that "
        "is in use.",
    )
    tls: Annotated[Tls | None, RESTART] = Field(
        None,
        description="Certificate for TCP; null: no TLS. What the files hold can change live.",
    )
    open_to_everybody: Annotated[str, _sentence(EVERYBODY)] | None = Field(
        None,
        description="Needed to listen at other addresses than this host's own without any "
        f'identity; must be "{EVERYBODY}".',
        examples=[EVERYBODY],
    )
    unencrypted: Annotated[str, _sentence(UNENCRYPTED)] | None = Field(
        None,
        description="Needed to listen at such addresses without TLS, behind a mesh for example; "
        f'must be "{UNENCRYPTED}".',
        examples=[UNENCRYPTED],
    )
    lease_ttl: Seconds = Field(
        30.0, description="How long a lease lives that says nothing else, in seconds."
    )
    lease_ttl_max: Seconds = Field(
        3600.0, description="Longest life that a lease may ask for, in seconds; renewals go on."
    )
    lease_grace: SecondsOrZero = Field(
        2.0, description="How much later than its holder the service ends a lease, in seconds."
    )
    confirm_within: Seconds = Field(
        5.0,
        description="How soon a lease without a session must be used or renewed, in seconds: its "
        "grant may have been lost on the way.",
    )
    session_ttl: Seconds = Field(
        15.0, description="How long a worker may be silent before its leases end, in seconds."
    )
    drain_grace: SecondsOrZero = Field(
        10.0, description="How long a shutdown waits for leases to come back, in seconds."
    )
    recall_quiet: SecondsOrZero = Field(
        0.25,
        description="How long nothing is parked by workers after others needed it, in seconds.",
    )
    max_sessions: CountFromOne = Field(10_000, description="Most workers connected at a time.")
    max_request_size: Annotated[CountFromOne, RESTART] = Field(
        65_536, description="Longest request, in bytes."
    )
    startup_timeout: Seconds = Field(
        10.0, description="How long a client may take to prove who it is, in seconds."
    )
    max_startups: CountFromOne = Field(
        1000, description="Most clients of the gateway that have not yet proved who they are."
    )
    identities: Annotated[dict[IdentityName, IdentityRule], BeforeValidator(no_nulls)] = Field(
        default_factory=dict,
        description="Who may use it. None: whoever is on this host as the service's own user.",
    )
