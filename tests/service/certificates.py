"""Throwaway certificates, made by the openssl of this host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class Authority:
    """Signs certificates into files of its *folder*."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._name = name
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        extensions = ["-addext", "basicConstraints=critical,CA:TRUE"]
        _openssl("req", "-x509", *_new(self._key, name), *extensions, "-out", self.certificate)

    def sign(self, name: str, subject: str, *alternatives: str) -> tuple[Path, Path]:
        """A certificate of *subject* (its CN) and its key; *alternatives* such as DNS:localhost."""
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        request = self._folder / f"{name}.csr"
        _openssl("req", *_new(key, subject), "-out", request)
        names = self._folder / f"{name}.ext"
        names.write_text(f"subjectAltName={','.join(alternatives)}\n" if alternatives else "\n")
        by: list[str | Path] = ["-CA", self.certificate, "-CAkey", self._key, "-extfile", names]
        _openssl("x509", "-req", "-in", request, *by, "-days", "2", "-out", certificate)
        return certificate, key

    def replace(self, name: str, subject: str, *alternatives: str) -> None:
        """Sign anew under the same file names, as an operator does: the files change places."""
        certificate, key = self.sign(f"{name}-new", subject, *alternatives)
        os.replace(key, self._folder / f"{name}.key")
        os.replace(certificate, self._folder / f"{name}.pem")


def _new(key: Path, subject: str) -> list[str | Path]:
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    return [*curve, "-keyout", key, "-subj", f"/CN={subject}"]


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
