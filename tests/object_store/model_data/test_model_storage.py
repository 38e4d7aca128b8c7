"""The manifest of a model's data, and the settings of their storage."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from services.embedded.pushing import PushFailed, push
from shared.model_storage import BadManifest, Manifest, manifest_of, model_storage
from shared.object_store import DirectorySettings, InvalidObjectStoreSettings, S3Settings
from tests.object_store.model_data.places import Place

A, B = "a" * 64, "b" * 64


def test_a_manifest_that_is_written_is_read_and_names_the_state_of_the_data() -> None:
    files = {"model_data/x y.bin": A, "oasislmf.json": B}
    manifest = Manifest.read(manifest_of(files))
    assert manifest.files == files
    assert manifest.name == Manifest.read(manifest_of(dict(reversed(files.items())))).name
    assert manifest.name != Manifest.read(manifest_of(files | {"oasislmf.json": A})).name


def test_sha256sum_writes_manifests(tmp_path: Path) -> None:
    (tmp_path / "model_data").mkdir()
    (tmp_path / "model_data" / "areas.csv").write_text("1")
    command = "find . -type f -print0 | xargs -0 sha256sum > SHA256SUMS"
    subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True)
    manifest = Manifest.read((tmp_path / "SHA256SUMS").read_bytes())
    assert list(manifest.files) == ["model_data/areas.csv"]
    checked = subprocess.run(["sha256sum", "--check"], input=manifest_of(manifest.files), cwd=tmp_path, check=False)
    assert checked.returncode == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it names no file"),
        (b"\xff", "no text in UTF-8"),
        (b"oasislmf.json\n", "line 1 is not a hash and a path"),
        (f"{A}  a\n{A}  ../outside\n".encode(), "line 2 is not a hash and a path inside"),
        (f"{A}  /etc/passwd\n".encode(), "line 1 is not a hash and a path inside"),
        (f"{A}  a\n{B}  ./a\n".encode(), "line 2 gives 'a' another hash"),
        (f"{A}  a\n{B}  a/b\n".encode(), "'a' is a file and a folder"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(content: bytes, says: str) -> None:
    with pytest.raises(BadManifest, match=says):
        Manifest.read(content)


def test_the_storage_has_settings_of_its_own(tmp_path: Path) -> None:
    platform = {"OASIS_STORAGE_TYPE": "s3", "OASIS_AWS_BUCKET_NAME": "platform", "OASIS_AWS_ACCESS_KEY_ID": "ours"}
    assert model_storage(platform) is None
    (tmp_path / "key").write_text("theirs\n")
    found = model_storage(
        platform
        | {
            "OASIS_WORKER_MODEL_STORAGE_STORAGE_TYPE": "S3",
            "OASIS_WORKER_MODEL_STORAGE_AWS_BUCKET_NAME": "models",
            "OASIS_WORKER_MODEL_STORAGE_AWS_ACCESS_KEY_ID_FILE": str(tmp_path / "key"),
            "OASIS_WORKER_MODEL_STORAGE_AWS_SECRET_ACCESS_KEY": "secret",
        }
    )
    assert found is not None
    assert isinstance(found.backend, S3Settings)
    assert (found.backend.bucket, found.backend.access_key_id) == ("models", "theirs")


def test_the_names_of_the_references_code_are_known_too() -> None:
    environ = {"OASIS_WORKER_MODEL_DATA_STORAGE_TYPE": "local-fs", "OASIS_WORKER_MODEL_DATA_MEDIA_ROOT": "/models"}
    found = model_storage(environ)
    assert found is not None
    assert found.backend == DirectorySettings(Path("/models"))


def test_a_setting_that_cannot_be_used_is_named_as_one_of_this_storage() -> None:
    with pytest.raises(InvalidObjectStoreSettings, match="OASIS_WORKER_MODEL_STORAGE_AWS_BUCKET_NAME"):
        model_storage({"OASIS_WORKER_MODEL_STORAGE_STORAGE_TYPE": "s3", "OASIS_AWS_BUCKET_NAME": "platform"})


def test_what_cannot_be_pushed_is_named(directory_place: Place, model: Path, tmp_path: Path) -> None:
    def refused(directory: Path, model: str = "M") -> str:
        with pytest.raises(PushFailed) as failed:
            push(directory, ("S", model, "1"), directory_place.environ, lambda _: None)
        return str(failed.value)

    (tmp_path / "empty").mkdir()
    (model / "link").symlink_to(model / "model_data", target_is_directory=True)
    assert "is not a directory" in refused(tmp_path / "nowhere")
    assert "has no files" in refused(tmp_path / "empty")
    assert "must be names without a slash" in refused(model, "..")
    assert "link cannot be pushed: it is no plain file" in refused(model)
    with pytest.raises(PushFailed, match="No model storage is named: set OASIS_WORKER_MODEL_STORAGE_STORAGE_TYPE"):
        push(model, ("S", "M", "1"), {}, lambda _: None)
