"""Folders that workers of a host share: when they are swept, and that a removal cut short harms nobody."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.model_worker.file_lock import locked
from services.model_worker.model_data.host_trees import HostTrees

MODEL = "S/M/1"


@pytest.fixture
def trees(tmp_path: Path) -> HostTrees:
    return HostTrees(tmp_path)


def make(folder: Path) -> None:
    (folder / "deep").mkdir(exist_ok=True)
    (folder / "deep" / "data").write_text("1")


def age(tree: Path, seconds: float) -> None:
    """As if nobody had used it for so long."""
    then = time.time() - seconds
    os.utime(tree.with_name(f"{tree.name}.lock"), (then, then))


def test_what_nobody_has_used_for_long_is_removed_and_what_is_used_stays(trees: HostTrees, tmp_path: Path) -> None:
    for name in ("old", "used", "young"):
        with trees.held(MODEL, name, make):
            pass
    with trees.held(MODEL, "used", make) as used:
        age(tmp_path / MODEL / "old", 100)
        age(used, 100)
        assert trees.sweep(60) == 1
        assert trees.sweep(60, superseded_by=used) == 1
    assert sorted(path.name for path in (tmp_path / MODEL).iterdir()) == ["used", "used.lock"]


def test_trees_of_other_models_are_not_superseded(trees: HostTrees) -> None:
    with trees.held("S/N/1", "a", make):
        pass
    with trees.held(MODEL, "b", make) as tree:
        assert trees.sweep(60, superseded_by=tree) == 0


def test_a_worker_that_came_too_late_to_make_a_tree_does_not_wait_for_its_users(
    trees: HostTrees, tmp_path: Path
) -> None:
    # Given a lock that another one shares, and no tree yet
    lock, asked = tmp_path / MODEL / "a.lock", threading.Event()
    lock.parent.mkdir(parents=True)

    def enter() -> Path:
        asked.set()
        with trees.held(MODEL, "a", make) as tree:
            return tree

    with ThreadPoolExecutor(1) as pool, locked(lock, shared=True):
        late = pool.submit(enter)
        assert asked.wait(20)
        time.sleep(0.2)  # the other one comes to the lock
        # When the tree is there, and still in use
        (tmp_path / MODEL / "a").mkdir()
        # Then the late one has it
        assert late.result(20) == tmp_path / MODEL / "a"


def test_a_tree_whose_making_failed_is_not_there_and_is_made_again(trees: HostTrees, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        make(folder)
        raise RuntimeError("half")

    with pytest.raises(RuntimeError, match="half"):
        trees.held(MODEL, "a", fail).__enter__()
    assert not (tmp_path / MODEL / "a").exists()
    with trees.held(MODEL, "a", make) as tree:
        assert (tree / "deep" / "data").read_text() == "1"


def test_a_tree_that_is_removed_loses_its_name_first(
    trees: HostTrees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with trees.held(MODEL, "a", make) as tree:
        pass
    age(tree, 100)
    # Given a removal that ends in the middle
    with monkeypatch.context() as patch:
        patch.setattr("services.model_worker.model_data.host_trees.shutil.rmtree", _cannot)
        assert trees.sweep(60) == 0
    # Then nobody takes the rest for a tree
    assert not tree.exists()
    with trees.held(MODEL, "a", make) as again:
        assert (again / "deep" / "data").read_text() == "1"


def _cannot(path: Path) -> None:
    raise OSError("the disk has gone")
