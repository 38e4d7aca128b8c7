"""A worker's model directory from the model storage: fetched once, checked, shared, read-only, swept."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from services.model_worker.model_data import ModelDataError, fetching, provided_model, providing
from services.model_worker.model_data.fetching import ModelStore
from services.model_worker.model_place import find_model_place
from tests.object_store.model_data.places import PREFIX, Place, content

ROOT = Path(__file__).parents[3]
NEVER_ENDS = """
import os, sys, time
from services.model_worker.model_data import fetching, provided_model
def fetch(source, path, *rest, whole=fetching._fetch_once):
    if path.endswith("footprint.bin"):
        while not any(name.endswith("post.sh") for *_, names in os.walk(sys.argv[1]) for name in names):
            time.sleep(0.01)
        print("half", flush=True)
        time.sleep(99)
    whole(source, path, *rest)
fetching._fetch_once = fetch
with provided_model(dict(os.environ)):
    pass
"""


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that have been fetched."""
    paths: list[str] = []
    whole = fetching._fetch_once

    def fetch_once(source: ModelStore, path: str, *rest: Any) -> None:
        paths.append(path)
        whole(source, path, *rest)

    monkeypatch.setattr(fetching, "_fetch_once", fetch_once)
    return paths


def directory_of(environ: Any) -> Path:
    """What a worker takes for its model's directory."""
    return find_model_place(environ).model_data_directory


def test_a_model_that_was_pushed_is_there_for_its_workers_and_read_only(place: Place, model: Path) -> None:
    said = place.push(model)
    assert said[-1] == "The model storage has 5 files as Lossline/Surge/2, 5 of them new."
    with provided_model(place.environ) as environ:
        tree = directory_of(environ)
        assert content(tree) == content(model)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tree, *tree.rglob("*"))}
    assert modes["footprint.bin"] == modes["oasislmf.json"] == 0o444
    assert {modes[name] for name in (tree.name, "model_data", "post.sh")} == {0o555}


def test_a_second_worker_fetches_nothing_and_a_second_push_uploads_what_is_new(
    place: Place, model: Path, fetched: list[str]
) -> None:
    place.push(model)
    with provided_model(place.environ), provided_model(place.environ):
        assert len(fetched) == 5
    (model / "post.sh").write_text("#!/bin/sh\nexit 1\n")
    assert place.push(model)[-1].endswith("1 of them new.")
    assert place.push(model)[-1].endswith("0 of them new.")
    assert place.push(model, anew=True)[-1].endswith("5 of them new.")


def test_workers_that_start_at_once_fetch_once(place: Place, model: Path, fetched: list[str]) -> None:
    place.push(model)
    together = threading.Barrier(4)

    def work(_: int) -> Path:
        together.wait(20)
        with provided_model(place.environ) as environ:
            together.wait(20)
            return directory_of(environ)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(work, range(4)))) == 1
    assert sorted(fetched) == sorted(content(model))


def test_a_worker_that_is_killed_while_it_fetches_leaves_no_lock_and_the_next_goes_on(
    place: Place, model: Path, fetched: list[str]
) -> None:
    place.push(model)
    # Given a worker that is killed when it has a part of the files
    command = [sys.executable, "-c", NEVER_ENDS, str(place.host)]
    worker = subprocess.Popen(command, cwd=ROOT, env=place.environ, stdout=subprocess.PIPE)
    with worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"half\n"
        worker.kill()
    assert not [name for name in place.trees() if not name.startswith(".") and not name.endswith(".lock")]
    # Then the next one fetches the rest
    with provided_model(place.environ) as environ:
        assert content(directory_of(environ)) == content(model)
    assert "model_data/footprint.bin" in fetched
    assert "post.sh" not in fetched
    assert not [name for name in place.trees() if name.startswith(".")]


def test_a_new_version_comes_beside_the_old_one_which_goes_when_nobody_uses_it(place: Place, model: Path) -> None:
    place.push(model)
    with ExitStack() as old_worker:
        before = directory_of(old_worker.enter_context(provided_model(place.environ)))
        (model / "model_data" / "footprint.bin").write_bytes(b"new")
        place.push(model)
        with provided_model(place.environ) as environ:
            after = directory_of(environ)
            assert (after / "model_data" / "footprint.bin").read_bytes() == b"new"
            assert len((before / "model_data" / "footprint.bin").read_bytes()) == 256_000
    with provided_model(place.environ):
        assert place.trees() == [after.name, f"{after.name}.lock"]


def test_an_object_that_is_not_what_the_manifest_says_is_named(place: Place, model: Path) -> None:
    place.push(model)
    place.store.put_file(f"{PREFIX}post.sh", model / "oasislmf.json")
    with pytest.raises(ModelDataError, match=r"The file Lossline/Surge/2/post\.sh .*SHA-256 .* push .*, with --all"):
        provided_model(place.environ).__enter__()
    # And what was right stays for the next try
    place.push(model, anew=True)
    with provided_model(place.environ) as environ:
        assert content(directory_of(environ)) == content(model)


def test_an_object_that_is_missing_is_named_before_anything_is_fetched(
    place: Place, model: Path, fetched: list[str]
) -> None:
    place.push(model)
    place.store.delete(f"{PREFIX}post.sh")
    with pytest.raises(ModelDataError, match=r"lacks 1 of 5 files that .*SHA256SUMS names, post\.sh for one"):
        provided_model(place.environ).__enter__()
    assert fetched == []
    # And the next push brings it back
    assert place.push(model)[-1].endswith("1 of them new.")


def test_a_model_that_nobody_has_pushed_is_named(place: Place) -> None:
    with pytest.raises(ModelDataError, match=r"no object Lossline/Surge/2/SHA256SUMS\. Push them"):
        provided_model(place.environ).__enter__()


def test_data_that_are_pushed_anew_while_they_are_fetched_are_fetched_anew(
    directory_place: Place, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory_place.push(model)
    whole: Callable[..., None] = fetching.fetch

    def push_and_fetch(*arguments: Any) -> None:
        monkeypatch.setattr(providing, "fetch", whole)
        (model / "post.sh").write_text("#!/bin/sh\nexit 1\n")
        directory_place.push(model)
        whole(*arguments)

    monkeypatch.setattr(providing, "fetch", push_and_fetch)
    with provided_model(directory_place.environ) as environ:
        assert content(directory_of(environ)) == content(model)


def test_a_storage_that_is_away_for_a_moment_is_tried_again(
    directory_place: Place, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory_place.push(model)
    root = directory_place.store.root  # type: ignore[attr-defined]
    whole: Callable[..., None] = fetching.fetch

    def fetch_from_nowhere(*arguments: Any) -> None:
        root.rename(root.with_name("unmounted"))
        back = threading.Timer(0.2, lambda: root.with_name("unmounted").rename(root))
        back.start()
        whole(*arguments)
        back.join()

    monkeypatch.setattr(providing, "fetch", fetch_from_nowhere)
    with provided_model(directory_place.environ) as environ:
        assert content(directory_of(environ)) == content(model)


def test_a_disk_without_room_is_named_after_what_nobody_uses_was_removed(
    directory_place: Place, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a copy of another model that nobody uses, and no room
    unused = directory_place.host / "Other" / "Model" / "1" / "abc"
    unused.mkdir(parents=True)
    unused.with_suffix(".lock").touch()
    directory_place.push(model)
    monkeypatch.setattr(providing, "_free", lambda _: 1 << 20)
    with pytest.raises(ModelDataError, match=r"too full for the data Lossline/Surge/2/: they take 1 MiB more"):
        provided_model(directory_place.environ).__enter__()
    assert not unused.exists()


def test_a_disk_that_is_full_in_the_middle_is_named(
    directory_place: Place, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    directory_place.push(model)
    monkeypatch.setattr(fetching, "_fetch_once", fail)
    with pytest.raises(ModelDataError, match=r"The disk of .*host, for data of models, is full\. Make room"):
        provided_model(directory_place.environ).__enter__()


def test_a_folder_that_cannot_be_written_to_is_named(directory_place: Place, model: Path) -> None:
    directory_place.push(model)
    directory_place.host.write_text("a file")
    with pytest.raises(ModelDataError, match=r"for data of models, cannot be used .*OASIS_WORKER_MODEL_STORAGE_CACHE"):
        provided_model(directory_place.environ).__enter__()


def test_a_directory_that_is_mounted_or_a_worker_without_storage_fetches_nothing(
    directory_place: Place, model: Path, fetched: list[str]
) -> None:
    directory_place.push(model)
    mounted = directory_place.environ | {"OASIS_MODEL_DATA_DIRECTORY": str(model)}
    with provided_model(mounted) as environ:
        assert directory_of(environ) == model
    without = {name: value for name, value in directory_place.environ.items() if "_STORAGE_" not in name}
    with provided_model(without) as environ:
        assert environ == without
    assert fetched == []
