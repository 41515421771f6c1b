"""A folder to write configurations into, and what a wrong one says."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tenantpool.config import Settings
from tenantpool.errors import ConfigError

MAIN = "databases:\n  main:\n    conninfo: host=db user=app\n"

Load = Callable[..., Settings]
Complaints = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load *text* as ``t.yaml``, with nothing of the real environment."""
    monkeypatch.chdir(tmp_path)

    def load(
        text: str | None = MAIN,
        *,
        environ: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        **values: object,
    ) -> Settings:
        if text is not None:
            Path("t.yaml").write_text(text)
        folder = Path("secrets")
        for name, secret in (secrets or {}).items():
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(secret)
        return Settings.load(
            None if text is None else "t.yaml",
            secrets_dir=folder if secrets else None,
            environ=environ or {},
            **values,
        )

    return load


@pytest.fixture
def complaints(load: Load) -> Complaints:
    """The lines that a wrong configuration is refused with; *more* is put below one database."""

    def complaints(more: str = "", **sources: object) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(MAIN + textwrap.dedent(more), **sources)
        return str(caught.value).splitlines()

    return complaints
