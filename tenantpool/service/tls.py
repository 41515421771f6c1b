"""The service's certificate: read again when its files change, for gRPC and for the gateway."""

from __future__ import annotations

import os
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc

from tenantpool.config.service import Tls
from tenantpool.errors import ConfigError
from tenantpool.journal import logger

_Stamp = tuple[tuple[int, int, int], ...]
"""What changes when a file is written, or another one takes its place."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A certificate that fits its key, in the two shapes that are needed."""

    stamp: _Stamp
    context: ssl.SSLContext
    configuration: grpc.ServerCertificateConfiguration


class Certificates:
    """Keeps the last good certificate. Looks at the files at every handshake, from any thread.

    Blocks for as long as it takes to read small files.
    """

    def __init__(self, tls: Tls) -> None:
        """Read the files. ConfigError if they can't be used together."""
        self._tls = tls
        self._lock = threading.Lock()
        self._rejected: _Stamp = ()
        try:
            self._loaded = self._load(self._look())
        except OSError as error:  # ssl.SSLError is one, too
            raise ConfigError("service.tls", f"cannot be used: {_reason(error)}") from None
        self._given = self._loaded.stamp

    def __repr__(self) -> str:
        state = "the files are broken, the one before is shown" if self._rejected else "good"
        return f"<{type(self).__name__} {self._tls.certificate}: {state}>"

    def context(self) -> ssl.SSLContext:
        """For the next handshake of a server that uses Python's own TLS."""
        return self._current().context

    def credentials(self) -> grpc.ServerCredentials:
        """For a gRPC server; it asks for the certificate at every handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._loaded.configuration,
            self._fetch,  # type: ignore[arg-type]  # the stubs don't know that it may return None
            require_client_authentication=self._tls.client_ca is not None,
        )

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """What gRPC shows from now on; None: as before. Called in a thread of gRPC's."""
        current = self._current()
        if current.stamp == self._given:
            return None
        self._given = current.stamp
        return current.configuration

    def _current(self) -> _Loaded:
        with self._lock:
            try:
                self._refresh()
            except OSError as error:
                logger.error(
                    "the new certificate cannot be used, so the one before is kept: %s",
                    _reason(error),
                )
            return self._loaded

    def _refresh(self) -> None:
        """Load what has changed. Broken files raise OSError, once for each change of them."""
        stamp = self._look()
        if stamp in (self._loaded.stamp, self._rejected):
            return
        self._rejected = stamp
        loaded = self._load(stamp)
        if self._look() == stamp:  # else a writer is at work: the next handshake looks again
            self._loaded = loaded
        self._rejected = ()

    def _look(self) -> _Stamp:
        return tuple(_look_at(path) for _, path in self._tls.files())

    def _load(self, stamp: _Stamp) -> _Loaded:
        tls = self._tls
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # An empty passphrase: OpenSSL must not ask the terminal for it.
        context.load_cert_chain(tls.certificate, tls.key, password="")
        authorities = None
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
            authorities = Path(tls.client_ca).read_bytes()
        pair = (Path(tls.key).read_bytes(), Path(tls.certificate).read_bytes())
        configuration = grpc.ssl_server_certificate_configuration([pair], authorities)
        return _Loaded(stamp, context, configuration)


def _look_at(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:  # loading it says so
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not a certificate and its key as PEM"
    return f"{error.filename}: {error.strerror}"
