"""The settings of the object store by the names of the Oasis platform."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.object_store import (
    DirectorySettings,
    InvalidObjectStoreSettings,
    ObjectStoreSettings,
    S3Settings,
    open_object_store,
)
from shared.object_store.directory import DirectoryStore
from shared.object_store.s3 import S3Store

S3_ENVIRONMENT = {
    "OASIS_STORAGE_TYPE": "aws-s3",
    "OASIS_AWS_BUCKET_NAME": "lossline",
    "OASIS_AWS_S3_ENDPOINT_URL": "https://s3.example.org:9000",
    "OASIS_AWS_S3_EXTERNAL_ENDPOINT_URL": "https://files.example.org",
    "OASIS_AWS_S3_REGION_NAME": "eu-west-2",
    "OASIS_AWS_ACCESS_KEY_ID": "key",
    "OASIS_AWS_SECRET_ACCESS_KEY": "secret",
    "OASIS_AWS_SECURITY_TOKEN": "token",
    "OASIS_AWS_LOCATION": "/some/where/",
    "OASIS_AWS_AUTO_CREATE_BUCKET": "True",
    "OASIS_AWS_S3_VERIFY": "no",
}


def settings(**changes: str) -> ObjectStoreSettings:
    changed = {f"OASIS_{name}": value for name, value in changes.items()}
    return ObjectStoreSettings.from_environ({**S3_ENVIRONMENT, **changed})


def test_without_any_setting_files_are_on_the_share() -> None:
    assert ObjectStoreSettings.from_environ({}).backend == DirectorySettings(Path("/shared-fs"))


@pytest.mark.parametrize("kind", ["local-fs", "shared-fs", " Shared-FS "])
def test_file_stores_are_directories(tmp_path: Path, kind: str) -> None:
    found = settings(STORAGE_TYPE=kind, MEDIA_ROOT=str(tmp_path))

    assert found.backend == DirectorySettings(tmp_path)
    with open_object_store(found) as store:
        assert isinstance(store, DirectoryStore)
        store.check()


@pytest.mark.parametrize("kind", ["aws-s3", "s3", "aws", "S3"])
def test_s3_takes_all_its_settings(kind: str) -> None:
    found = settings(STORAGE_TYPE=kind)

    assert found.backend == S3Settings(
        bucket="lossline",
        endpoint_url="https://s3.example.org:9000",
        external_endpoint_url="https://files.example.org",
        region="eu-west-2",
        access_key_id="key",
        secret_access_key="secret",
        session_token="token",
        location="some/where",
        auto_create_bucket=True,
        verify_certificates=False,
    )
    with open_object_store(found) as store:
        assert isinstance(store, S3Store)


def test_empty_variables_count_as_not_set() -> None:
    names = [name.removeprefix("OASIS_") for name in S3_ENVIRONMENT if name.startswith("OASIS_AWS")]
    empty = dict.fromkeys([name for name in names if name != "AWS_BUCKET_NAME"], "")

    assert settings(**empty).backend == S3Settings(bucket="lossline")


def test_a_lookup_is_asked_for_names_without_prefix() -> None:
    values = {"STORAGE_TYPE": "s3", "AWS_BUCKET_NAME": "from-a-file"}

    assert ObjectStoreSettings.from_lookup(values.get).backend == S3Settings(bucket="from-a-file")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"STORAGE_TYPE": "azure"}, '"azure" is not supported, use one of aws, aws-s3, local-fs, s3, shared-fs'),
        ({"STORAGE_TYPE": "floppy"}, '"floppy" is not supported'),
        ({"AWS_BUCKET_NAME": ""}, "AWS_BUCKET_NAME"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY must be set together"),
        ({"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_AUTO_CREATE_BUCKET": "perhaps"}, "AWS_AUTO_CREATE_BUCKET"),
        ({"AWS_S3_ENDPOINT_URL": "s3.example.org"}, "AWS_S3_ENDPOINT_URL"),
        ({"AWS_S3_ENDPOINT_URL": "ftp://s3.example.org"}, "AWS_S3_ENDPOINT_URL"),
        ({"AWS_S3_ENDPOINT_URL": "http://s3.example.org/path"}, "AWS_S3_ENDPOINT_URL"),
        ({"AWS_S3_ENDPOINT_URL": "http://me:hidden@s3.example.org"}, "must not hold credentials"),
        ({"AWS_S3_EXTERNAL_ENDPOINT_URL": "s3.example.org"}, "AWS_S3_EXTERNAL_ENDPOINT_URL"),
        ({"AWS_LOCATION": "a/../b"}, "AWS_LOCATION"),
    ],
)
def test_wrong_settings_are_refused_with_their_name(changes: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidObjectStoreSettings) as caught:
        settings(**changes)

    assert message in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_a_wrong_region_is_refused_when_the_store_opens() -> None:
    with pytest.raises(InvalidObjectStoreSettings, match="AWS_S3_REGION_NAME"):
        open_object_store(settings(AWS_S3_REGION_NAME="not a region!"))


def test_secrets_are_in_no_repr() -> None:
    text = repr(settings(AWS_SECRET_ACCESS_KEY="hidden", AWS_SECURITY_TOKEN="hidden"))

    assert "hidden" not in text
    assert "lossline" in text


def test_a_store_in_a_directory_never_loads_the_client_of_s3(tmp_path: Path) -> None:
    program = (
        "import sys; from shared.object_store import ObjectStoreSettings, open_object_store;"
        f"open_object_store(ObjectStoreSettings.from_environ({{'OASIS_MEDIA_ROOT': {str(tmp_path)!r}}})).check();"
        "print({'minio', 'urllib3', 'certifi'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
