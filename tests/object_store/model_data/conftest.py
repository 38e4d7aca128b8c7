"""A model's directory, and model storages of both kinds, by the variables that name them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.object_store import DirectorySettings, ObjectStore, S3Settings
from shared.object_store.directory import DirectoryStore
from shared.object_store.s3 import S3Store
from tests.object_store.model_data.places import IDENTITY, Place


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's directory: small files, a folder, a program, a name that is not plain."""
    directory = tmp_path / "Surge"
    (directory / "model_data" / "old data").mkdir(parents=True)
    (directory / "meta-data").mkdir()
    (directory / "oasislmf.json").write_text("{}")
    names = dict(zip(("model_supplier_id", "model_name_id", "model_version_id"), IDENTITY, strict=True))
    (directory / "meta-data" / "model_settings.json").write_text(json.dumps(names))
    (directory / "model_data" / "footprint.bin").write_bytes(bytes(range(256)) * 1000)
    (directory / "model_data" / "old data" / "vulnérabilité.csv").write_text("1,2\n")
    (directory / "post.sh").write_text("#!/bin/sh\n")
    return directory


@pytest.fixture(params=["directory", pytest.param("s3", marks=pytest.mark.integration)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A model storage, and a folder for this host's copies."""
    return _place(request, tmp_path, request.param)


@pytest.fixture
def directory_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The same of files, where the kind of storage does not matter."""
    return _place(request, tmp_path, "directory")


def _place(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> Place:
    store: ObjectStore = request.getfixturevalue(f"{kind}_store")
    if isinstance(store, S3Store):
        settings: S3Settings = request.getfixturevalue("s3_settings")
        return Place(store, settings, tmp_path / "host")
    assert isinstance(store, DirectoryStore)
    return Place(store, DirectorySettings(store.root), tmp_path / "host")
