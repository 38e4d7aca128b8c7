"""Where the embedded default keeps its files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# PostgreSQL refuses to run as root and gets an account of its own, which cannot enter /root.
ROOT_HOME = Path("/var/lib/lossline")


@dataclass(frozen=True)
class Layout:
    """The folders under one data directory."""

    home: Path

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """$LOSSLINE_HOME, else /var/lib/lossline for root, else lossline/ in the XDG data directory."""
        if env.get("LOSSLINE_HOME"):
            return cls(Path(env["LOSSLINE_HOME"]).expanduser().absolute())
        if os.geteuid() == 0:
            return cls(ROOT_HOME)
        if env.get("XDG_DATA_HOME"):
            return cls(Path(env["XDG_DATA_HOME"]).absolute() / "lossline")
        return cls(Path.home() / ".local" / "share" / "lossline")

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def rabbitmq(self) -> Path:
        return self.home / "rabbitmq"

    @property
    def objects(self) -> Path:
        return self.home / "objects"

    @property
    def run(self) -> Path:
        """Directories of attempts; nothing in it outlives a run."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def cache(self) -> Path:
        """Compiled functions of numba."""
        return self.home / "cache"

    @property
    def models(self) -> Path:
        return self.home / "models"

    def create(self) -> Self:
        """Make the folders that are missing: others may pass through the home of root, as PostgreSQL's account must,
        but read nothing. A home that exists keeps its permissions."""
        if not self.home.exists():
            self.home.mkdir(parents=True)
            self.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        for folder in (self.rabbitmq, self.objects, self.run, self.logs, self.cache, self.models):
            folder.mkdir(mode=0o700, exist_ok=True)
        # Passable for the same reason; the cluster inside belongs to PostgreSQL's account alone.
        self.postgres.mkdir(mode=0o711, exist_ok=True)
        return self
