"""What attempts extract once and share, whoever is killed while doing so."""

import fcntl
import multiprocessing
import os
import threading
import time
from pathlib import Path

import pytest

from services.model_worker.shared_trees import SharedTrees
from tests.model_worker.waiting import wait_for


class Maker:
    """Makes a tree and counts how often it did."""

    def __init__(self, content: str = "many rows") -> None:
        self.made = 0
        self.content = content

    def __call__(self, tree: Path) -> None:
        self.made += 1
        (tree / "input" / "RI_1").mkdir(parents=True)
        (tree / "input" / "items.bin").write_text(self.content)
        (tree / "input" / "RI_1" / "fm.csv").write_text("layers")
        (tree / "output").mkdir()
        (tree / "output" / "analysis_settings.json").write_text("{}")
        (tree / "static").mkdir()
        (tree / "static" / "footprint.bin").symlink_to("footprint_b.bin")


@pytest.fixture
def trees(tmp_path: Path) -> SharedTrees:
    return SharedTrees(tmp_path / "trees")


def linked(trees: SharedTrees, make: Maker, target: Path) -> Path:
    return trees.link("run", make, target, shared={"input"})


def test_many_attempts_at_once_make_the_tree_once_and_link_what_is_large(trees: SharedTrees, tmp_path: Path) -> None:
    make = Maker()
    works = [threading.Thread(target=linked, args=(trees, make, tmp_path / f"attempt-{n}")) for n in range(8)]
    for work in works:
        work.start()
    for work in works:
        work.join()

    assert make.made == 1
    attempts = [tmp_path / f"attempt-{n}" for n in range(8)]
    for name in ("input/items.bin", "input/RI_1/fm.csv"):
        assert {(attempt / name).stat().st_ino for attempt in attempts} == {
            (trees.directory / "run" / name).stat().st_ino
        }
        assert (attempts[0] / name).stat().st_mode & 0o222 == 0
    assert {(attempt / "static" / "footprint.bin").readlink() for attempt in attempts} == {Path("footprint_b.bin")}


def test_what_an_attempt_writes_beside_the_inputs_is_its_own(trees: SharedTrees, tmp_path: Path) -> None:
    one, other = (linked(trees, Maker(), tmp_path / name) for name in ("one", "other"))
    (one / "output" / "analysis_settings.json").write_text("changed")
    (one / "input" / "new.csv").write_text("new")
    (one / "input" / "items.bin").unlink()

    assert (other / "output" / "analysis_settings.json").read_text() == "{}"
    assert sorted(path.name for path in (other / "input").iterdir()) == ["RI_1", "items.bin"]
    later = linked(trees, Maker(), tmp_path / "later")
    assert (later / "input" / "items.bin").read_text() == "many rows"


def test_a_tree_that_cannot_be_made_is_tried_again_by_the_next(trees: SharedTrees, tmp_path: Path) -> None:
    def fail(tree: Path) -> None:
        raise ValueError(tree.name)

    with pytest.raises(ValueError, match="run"):
        trees.link("run", fail, tmp_path / "one", shared={"input"})
    make = Maker()
    linked(trees, make, tmp_path / "other")
    assert make.made == 1


def test_an_attempt_that_is_killed_while_it_makes_a_tree_leaves_no_lock(trees: SharedTrees, tmp_path: Path) -> None:
    # Given an attempt that makes the tree and never comes to an end
    started = tmp_path / "started"
    killed = multiprocessing.get_context("fork").Process(target=hang_while_making, args=(trees, tmp_path, started))
    killed.start()
    wait_for(started.exists, "the making of the tree")
    with (trees.directory / "run.lock").open("w") as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # When it is killed
    killed.kill()
    killed.join()
    # Then the next one makes it
    make = Maker()
    assert (linked(trees, make, tmp_path / "next") / "input" / "items.bin").read_text() == "many rows"


def hang_while_making(trees: SharedTrees, folder: Path, started: Path) -> None:
    def hang(_tree: Path) -> None:
        started.touch()
        while True:
            time.sleep(60)

    trees.link("run", hang, folder / "killed", shared={"input"})


def test_a_tree_that_nobody_has_used_for_long_goes_and_attempts_keep_their_files(
    trees: SharedTrees, tmp_path: Path
) -> None:
    attempt = linked(trees, Maker(), tmp_path / "one")
    trees.link("young", Maker(), tmp_path / "two", shared={"input"})
    long_ago = time.time() - 700
    os.utime(trees.directory / "run.lock", (long_ago, long_ago))

    trees.forget_older_than(600)

    assert sorted(path.name for path in trees.directory.iterdir()) == ["young", "young.lock"]
    assert (attempt / "input" / "items.bin").read_text() == "many rows"
    make = Maker("made anew")
    assert (linked(trees, make, tmp_path / "three") / "input" / "items.bin").read_text() == "made anew"


def test_a_tree_that_is_being_linked_is_not_forgotten(trees: SharedTrees, tmp_path: Path) -> None:
    linked(trees, Maker(), tmp_path / "one")
    long_ago = time.time() - 700
    os.utime(trees.directory / "run.lock", (long_ago, long_ago))
    with (trees.directory / "run.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        trees.forget_older_than(600)

    assert (trees.directory / "run" / "input" / "items.bin").exists()
