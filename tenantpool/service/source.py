"""Where the settings came from, so that they can be read again."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from tenantpool.config import Settings
from tenantpool.errors import ConfigError, ConfigErrors

from .watcher import Files, Stamp


class Source:
    """A file and a secrets folder, both may be None, and the environment; *more* beats all."""

    def __init__(
        self, config: Path | None = None, secrets_dir: Path | None = None, **more: Any
    ) -> None:
        self.config = config
        self.secrets_dir = secrets_dir
        self.more = more
        self.files = Files(config, secrets_dir)
        self.seen: tuple[Stamp, ...] = ()
        """How the files were when they were last read."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.config or 'no file'}>"

    @property
    def changes(self) -> bool:
        """Whether there is anything that may be different when it is read again."""
        return bool(self.files.paths)

    def load(self) -> Settings:
        """Read it, as it is now. Blocks. Raises ConfigError."""
        self.seen = tuple(self.files.look())
        return Settings.load(self.config, secrets_dir=self.secrets_dir, **self.more)

    def read_again(self) -> Settings:
        """The same, where there is something to read. Blocks. Raises ConfigError."""
        if not self.changes:
            raise ConfigError("tenantpool serve", "was started without a configuration file")
        return self.load()

    def parse(self, yaml: str) -> Settings:
        """What it would be with this text as the file. Blocks. Raises ConfigError."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "yaml")
            path.write_text(yaml, encoding="utf-8")
            try:
                return Settings.load(path, secrets_dir=self.secrets_dir, **self.more)
            except ConfigError as error:
                raise _without_folder(error, folder) from None


def mistakes_of(error: ConfigError) -> tuple[ConfigError, ...]:
    """Every single mistake."""
    return error.errors if isinstance(error, ConfigErrors) else (error,)


def _without_folder(error: ConfigError, folder: str) -> ConfigError:
    """The file was ours: only its lines mean something to who wrote them."""
    return ConfigErrors(
        [
            ConfigError(e.place.replace(f"{folder}/", ""), e.problem, e.fix)
            for e in mistakes_of(error)
        ]
    )
