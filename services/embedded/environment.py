"""The environments of the services on this machine."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sqlalchemy import make_url

from services.embedded.errors import EmbeddedError
from services.embedded.models import ModelDirectory
from shared.core.plan import RunMode
from shared.settings import Options

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "NO_PROXY")
"""What services get of the environment of the command; OASIS_* of users reach model code too."""


def with_programs(path: str) -> str:
    """A search path that begins with the programs of this installation: run scripts call kernels by name."""
    return os.pathsep.join(filter(None, (str(Path(sys.executable).parent), path)))


def own_store(environ: Mapping[str, str]) -> bool:
    """Whether the user has configured an object store."""
    return bool(environ.get("OASIS_STORAGE_TYPE"))


def own_database(environ: Mapping[str, str]) -> bool:
    """Whether the user has configured a PostgreSQL server."""
    return bool(environ.get("OASIS_SERVER_DB_HOST"))


@dataclass(frozen=True)
class Login:
    """The administrator of the embedded default. It listens on this machine only."""

    username: str = "admin"
    password: str = field(default="password", repr=False)  # the default of the reference, for localhost only
    by_provider: bool = False
    """Whether these are id and secret of a client at an OpenID Connect provider."""

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """The client that the environment names, where it names a provider too. Raises EmbeddedError."""
        options = Options("SERVER", environ)
        if options.text("API_AUTH_TYPE", "simple").strip().lower() in ("simple", "disabled"):
            return cls()
        name, secret = options.get("SERVICE_USERNAME_OR_ID"), options.secret("SERVICE_PASSWORD_OR_SECRET")
        if not name or not secret:
            raise EmbeddedError(
                "With an OpenID Connect provider the command logs in as a client of it: "
                "set OASIS_SERVICE_USERNAME_OR_ID and OASIS_SERVICE_PASSWORD_OR_SECRET."
            )
        return cls(name, secret, by_provider=True)

    def __str__(self) -> str:
        """How users log in."""
        if self.by_provider:
            return "Log in with tokens of the OpenID Connect provider"
        return f"Log in as {self.username} / {self.password}"


@dataclass(frozen=True)
class Surroundings:
    """Where everything is that the services talk to."""

    database: str = field(repr=False)
    broker: str = field(repr=False)
    objects: Path
    secret_key: str = field(repr=False)
    kernel_cache: Path
    login: Login = Login()
    keep: Mapping[str, str] = field(default_factory=dict, repr=False)

    def common(self) -> dict[str, str]:
        """What every service gets."""
        return {
            **{name: value for name, value in self.keep.items() if name in _KEPT or name.startswith("OASIS_")},
            "PATH": with_programs(self.keep.get("PATH", "")),
            **(
                {}
                if own_store(self.keep)
                else {"OASIS_STORAGE_TYPE": "local-fs", "OASIS_MEDIA_ROOT": str(self.objects)}
            ),
            # The name that goes before every other: the broker of the command is always its own.
            "OASIS_CELERY_BROKER_URL": self.broker,
            "PYTHONUNBUFFERED": "1",
        }

    def with_database(self) -> dict[str, str]:
        """What services with a database get."""
        url = make_url(self.database)
        return self.common() | {
            **{name: value for name, value in self.keep.items() if name.startswith("OTEL_")},
            "OASIS_SERVER_DB_HOST": str(url.query["host"]) if "host" in url.query else str(url.host),
            "OASIS_SERVER_DB_NAME": str(url.database),
            "OASIS_SERVER_DB_USER": str(url.username),
            **({"OASIS_SERVER_DB_PASS": str(url.password)} if url.password else {}),
            **({"OASIS_SERVER_DB_PORT": str(url.port)} if url.port else {}),
        }

    def of_api(self, host: str, port: int) -> dict[str, str]:
        """What the API gets."""
        return self.with_database() | {
            "OASIS_API_HOST": host,
            "OASIS_API_PORT": str(port),
            "OASIS_SERVER_SECRET_KEY": self.secret_key,
            "OASIS_SERVICE_USERNAME_OR_ID": self.login.username,
            "OASIS_SERVICE_PASSWORD_OR_SECRET": self.login.password,
        }

    def of_websocket(self, host: str, port: int) -> dict[str, str]:
        """What the websocket server gets."""
        return self.with_database() | {
            "OASIS_WEBSOCKET_HOST": host,
            "OASIS_WEBSOCKET_PORT": str(port),
            "OASIS_SERVER_SECRET_KEY": self.secret_key,
        }

    def of_internal_worker(self, run: Path, id_file: Path) -> dict[str, str]:
        """What the internal worker gets. One slot: what it does is short."""
        return self.common() | {
            "OASIS_RUN_MODE": "server-internal",
            "OASIS_CELERY_CONCURRENCY": "1",
            "OASIS_BASE_RUN_DIR": str(run),
            "NUMBA_CACHE_DIR": str(self.kernel_cache),
            "LOSSLINE_WORKER_ID_FILE": str(id_file),
        }

    def of_worker(
        self, model: ModelDirectory, slots: int, run: Path, id_file: Path, run_mode: RunMode = RunMode.V2
    ) -> dict[str, str]:
        """What a worker of the model gets."""
        return self.common() | {
            "OASIS_MODEL_SUPPLIER_ID": model.supplier_id,
            "OASIS_MODEL_ID": model.model_id,
            "OASIS_MODEL_VERSION_ID": model.version_id,
            "OASIS_RUN_MODE": run_mode.lower(),
            "OASIS_MODEL_DATA_DIRECTORY": str(model.path),
            "OASIS_CELERY_CONCURRENCY": str(slots),
            "OASIS_BASE_RUN_DIR": str(run),
            "NUMBA_CACHE_DIR": str(self.kernel_cache),
            "LOSSLINE_WORKER_ID_FILE": str(id_file),
        }
