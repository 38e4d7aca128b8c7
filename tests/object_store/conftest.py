"""The stores that the suite of behaviour runs over, and the S3 server behind one of them."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from shared.object_store import ObjectStore, S3Settings
from shared.object_store.directory import DirectoryStore
from shared.object_store.s3 import S3Store
from tests.fakes.object_store import MemoryStore
from tests.object_store.s3_server import PACKAGES, S3Server, missing_programs, s3_server

REAL = ["directory", pytest.param("s3", marks=pytest.mark.integration)]
ALL = ["memory", *REAL]


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """The server of LOSSLINE_TEST_S3_…, else one of our own."""
    endpoint = os.environ.get("LOSSLINE_TEST_S3_ENDPOINT")
    if endpoint:
        yield S3Server(
            endpoint,
            os.environ["LOSSLINE_TEST_S3_ACCESS_KEY_ID"],
            os.environ["LOSSLINE_TEST_S3_SECRET_ACCESS_KEY"],
        )
        return
    missing = missing_programs()
    if missing:
        reason = f"no S3 server: {', '.join(missing)} missing, apt-get install {' '.join(PACKAGES)}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def bucket() -> str:
    return f"tests-{uuid4().hex[:12]}"


@pytest.fixture
def s3_settings(s3: S3Server, bucket: str) -> S3Settings:
    """One bucket for the session, a location of its own for each test."""
    return S3Settings(
        bucket=bucket,
        endpoint_url=s3.endpoint_url,
        region="us-east-1",
        access_key_id=s3.access_key_id,
        secret_access_key=s3.secret_access_key,
        location=f"test-{uuid4().hex}",
        auto_create_bucket=True,
    )


@pytest.fixture
def s3_store(s3_settings: S3Settings) -> Iterator[S3Store]:
    with S3Store(s3_settings) as store:
        yield store
        for found in store.list(""):
            store.delete(found.key)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "objects"
    folder.mkdir()
    return folder


@pytest.fixture
def directory_store(root: Path) -> DirectoryStore:
    return DirectoryStore(root)


@pytest.fixture(params=ALL)
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """Every adapter, and the fake."""
    return _store(request)


@pytest.fixture(params=REAL)
def real_store(request: pytest.FixtureRequest) -> ObjectStore:
    """The adapters that keep bytes outside this process."""
    return _store(request)


def _store(request: pytest.FixtureRequest) -> ObjectStore:
    if request.param == "memory":
        return MemoryStore()
    found: ObjectStore = request.getfixturevalue(f"{request.param}_store")
    return found
