"""The files of deploy/, and what is said in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tenantpool import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
KUBERNETES = DEPLOY / "kubernetes"

UID = 65532
"""The user of the image."""


def read(path: Path) -> str:
    """A file's text."""
    return path.read_text()


def documents(path: Path) -> list[dict[str, Any]]:
    """The YAML documents of a file."""
    return list(yaml.safe_load_all(read(path)))


def settings(config: dict[str, Any], *, tls: Path | None = None) -> Settings:
    """*config* as the service loads it. *tls*: a file that stands for those of its certificate."""
    service = dict(config.get("service", {}))
    for name, rule in service.get("identities", {}).items():
        if "uids" not in rule:
            rule["token"] = f"from-the-secrets-folder-for-{name}"
    if tls is not None and "tls" in service:
        service["tls"] = dict.fromkeys(service["tls"], str(tls))
    return Settings(**{**config, "service": service})


def manifests() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every Kubernetes object of deploy/kubernetes, with its file."""
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        for document in documents(path):
            if document["kind"] != "Kustomization":
                yield path, document
