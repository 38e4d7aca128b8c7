"""What tests of model data need of a model storage."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from services.embedded.pushing import push
from shared.object_store import DirectorySettings, ObjectStore, S3Settings

IDENTITY = ("Lossline", "Surge", "2")
PREFIX = "Lossline/Surge/2/"
_PATH = {"PATH": os.environ["PATH"]}


@dataclass(frozen=True)
class Place:
    """A model storage as tests see it, and the folder of a host's copies."""

    store: ObjectStore
    settings: S3Settings | DirectorySettings
    host: Path

    @property
    def environ(self) -> dict[str, str]:
        """What a worker is given, and whoever pushes."""
        names = ("OASIS_MODEL_SUPPLIER_ID", "OASIS_MODEL_ID", "OASIS_MODEL_VERSION_ID")
        worker = dict(zip(names, IDENTITY, strict=True)) | {"OASIS_MODEL_DATA_DIRECTORY": str(self.host / "nothing")}
        storage = {"CACHE": str(self.host), **_options(self.settings)}
        return worker | {f"OASIS_WORKER_MODEL_STORAGE_{name}": value for name, value in storage.items()} | _PATH

    def push(self, directory: Path, *, anew: bool = False) -> list[str]:
        """As the command does; what it says."""
        said: list[str] = []
        push(directory, (None, None, None), self.environ, said.append, anew=anew)
        return said

    def trees(self) -> list[str]:
        """What this host has of the model: copies, parts of them, locks."""
        return sorted(path.name for path in (self.host / PREFIX).glob("*"))


def _options(settings: S3Settings | DirectorySettings) -> dict[str, str]:
    if isinstance(settings, DirectorySettings):
        return {"STORAGE_TYPE": "local-fs", "MEDIA_ROOT": str(settings.root)}
    return {
        "STORAGE_TYPE": "s3",
        "AWS_BUCKET_NAME": settings.bucket,
        "AWS_S3_ENDPOINT_URL": settings.endpoint_url,
        "AWS_S3_REGION_NAME": settings.region or "",
        "AWS_ACCESS_KEY_ID": settings.access_key_id or "",
        "AWS_SECRET_ACCESS_KEY": settings.secret_access_key or "",
        "AWS_LOCATION": settings.location,
        "AWS_AUTO_CREATE_BUCKET": "True",
    }


def content(directory: Path) -> dict[str, bytes]:
    """The files of a directory by their paths."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}
