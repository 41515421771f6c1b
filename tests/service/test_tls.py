"""TLS and client certificates over real handshakes, and certificates that change meanwhile."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tenantpool.config.service import Tls
from tenantpool.errors import ConfigError
from tenantpool.service.tls import Certificates

from .certificates import Authority
from .support import Client, Service, channel, reason_of, running, settings

PATTERNS = {
    "mesh": {"certificates": ["spiffe://prod/ns/*"], "tenants": ["*"]},
    "host": {"certificates": ["DNS:*.example.com"], "tenants": ["*"]},
    "old": {"certificates": ["CN=old-*"], "tenants": ["*"]},
    "worker": {"token": "a-token-of-the-worker", "tenants": ["*"]},
}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.sign("server", "first", "DNS:localhost")
    return made


@pytest.fixture
def tls(tmp_path: Path, authority: Authority) -> dict[str, str]:
    files = {"certificate": "server.pem", "key": "server.key"}
    return {field: str(tmp_path / name) for field, name in files.items()}


Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def connect(authority: Authority) -> Connect:
    @asynccontextmanager
    async def connect(
        service: Service, pair: tuple[Path, Path] | None = None, token: str = ""
    ) -> AsyncIterator[Client]:
        credentials = grpc.ssl_channel_credentials(
            authority.certificate.read_bytes(),
            private_key=pair[1].read_bytes() if pair else None,
            certificate_chain=pair[0].read_bytes() if pair else None,
        )
        async with channel(service.tcp, token, credentials) as client:
            yield client

    return connect


@pytest.fixture
async def secure(tmp_path: Path, tls: dict[str, str]) -> AsyncIterator[Service]:
    async with running(settings({"tls": tls}), tmp_path) as service:
        yield service


@pytest.fixture
async def mutual(
    tmp_path: Path, tls: dict[str, str], authority: Authority
) -> AsyncIterator[Service]:
    rules = {"tls": {**tls, "client_ca": str(authority.certificate)}, "identities": PATTERNS}
    async with running(settings(rules), tmp_path) as service:
        yield service


def shown(service: Service, authority: Authority) -> str:
    """The common name in the certificate that the service shows. Blocks for a handshake."""
    host, _, port = service.tcp.rpartition(":")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, int(port)), timeout=10) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as secured,
    ):
        found: Any = secured.getpeercert()
    return str(dict(part[0] for part in found["subject"])["commonName"])


# -- gRPC --------------------------------------------------------------------------------------


async def test_tls_is_spoken_on_tcp_only(secure: Service, connect: Connect) -> None:
    async with connect(secure) as client, channel(secure.unix) as unix:
        await client.acquire()
        await unix.acquire()
    async with channel(secure.tcp) as plain:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await plain.acquire()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("subject", "alternatives", "who"),
    [
        ("x", ["URI:spiffe://prod/ns/a/sa/b"], "mesh"),
        ("x", ["DNS:a.example.com", "DNS:b"], "host"),
        ("old-1", [], "old"),
    ],
)
async def test_a_client_certificate_tells_who_asks(
    mutual: Service,
    authority: Authority,
    connect: Connect,
    subject: str,
    alternatives: list[str],
    who: str,
) -> None:
    async with connect(mutual, authority.sign("client", subject, *alternatives)) as client:
        await client.acquire()
    assert mutual.desk.asked[0][0].name == who


async def test_a_token_wins_over_a_certificate_and_an_unknown_one_is_refused(
    mutual: Service, authority: Authority, connect: Connect
) -> None:
    pair = authority.sign("client", "nobody", "URI:spiffe://test/ns/a")
    async with connect(mutual, pair, "a-token-of-the-worker") as client:
        await client.acquire()
        assert mutual.desk.asked[0][0].name == "worker"
        client.metadata = ()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.acquire()
    assert reason_of(caught.value) == "NOT_AUTHENTICATED"


async def test_a_certificate_of_another_authority_does_not_get_through(
    mutual: Service, tmp_path: Path, connect: Connect
) -> None:
    forged = Authority(tmp_path, "forger").sign("forged", "old-1")
    for pair in (forged, None):
        async with connect(mutual, pair) as client:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client.acquire()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert mutual.desk.asked == []


# -- change ------------------------------------------------------------------------------------


async def test_a_new_certificate_is_shown_without_a_restart(
    secure: Service, authority: Authority, connect: Connect
) -> None:
    async with connect(secure) as before:
        await before.acquire()
        assert await asyncio.to_thread(shown, secure, authority) == "first"
        authority.replace("server", "second", "DNS:localhost")
        assert await asyncio.to_thread(shown, secure, authority) == "second"
        await before.acquire()


async def test_a_broken_one_is_logged_once_and_the_last_good_one_is_kept(
    secure: Service,
    authority: Authority,
    tls: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = Path(tls["key"]).read_text()
    Path(tls["key"]).write_text("not a key")
    assert secure.certificates is not None
    secure.certificates.context()  # logged here: a log record makes gRPC's thread look like a leak
    for _ in range(3):
        assert await asyncio.to_thread(shown, secure, authority) == "first"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "the one before is kept" in caplog.text
    Path(tls["key"]).write_text(good)
    authority.replace("server", "second", "DNS:localhost")
    assert await asyncio.to_thread(shown, secure, authority) == "second"


# -- the files alone ---------------------------------------------------------------------------


def test_the_context_for_the_gateway_follows_the_files(
    tls: dict[str, str], authority: Authority
) -> None:
    certificates = Certificates(Tls(**tls))
    first = certificates.context()
    assert certificates.context() is first
    authority.replace("server", "second", "DNS:localhost")
    second = certificates.context()
    assert second is not first
    Path(tls["certificate"]).unlink()
    assert certificates.context() is second
    assert repr(certificates).endswith("the files are broken, the one before is shown>")


def test_a_certificate_that_is_half_replaced_is_not_shown(
    tls: dict[str, str], authority: Authority, tmp_path: Path
) -> None:
    certificates = Certificates(Tls(**tls))
    first = certificates.context()
    other, other_key = authority.sign("other", "second", "DNS:localhost")
    Path(tls["key"]).write_bytes(other_key.read_bytes())
    assert certificates.context() is first
    Path(tls["certificate"]).write_bytes(other.read_bytes())
    assert certificates.context() is not first
    assert repr(certificates).endswith(": good>")


def test_client_certificates_are_demanded_by_the_context_too(
    tls: dict[str, str], authority: Authority
) -> None:
    made = Certificates(Tls(**tls, client_ca=str(authority.certificate))).context()
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert Certificates(Tls(**tls)).context().verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(
    ("field", "content"),
    [("key", "not a key"), ("certificate", ""), ("client_ca", "x"), ("key", None)],
)
def test_files_that_cannot_be_used_are_a_mistake_of_the_configuration(
    tls: dict[str, str], tmp_path: Path, field: str, content: str | None
) -> None:
    path = tmp_path / "broken"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"^service\.tls: cannot be used: "):
        Certificates(Tls(**{**tls, field: str(path)}))


def test_a_key_with_a_passphrase_does_not_ask_the_terminal(
    tls: dict[str, str], tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-in", tls["key"], "-aes128", "-passout", "pass:geheim"]
    subprocess.run([*command, "-out", locked], check=True, capture_output=True)
    with pytest.raises(ConfigError, match=r"^service\.tls: cannot be used: "):
        Certificates(Tls(**{**tls, "key": str(locked)}))
