"""Building a model directory: deterministic, idempotent, all or nothing."""

import hashlib
from pathlib import Path

import pytest

from examples.coastwind.build import build
from examples.coastwind.install import MARKER, TargetOccupiedError, install


def digests(directory: Path) -> dict[str, str]:
    files = (file for file in directory.rglob("*") if file.is_file())
    return {str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def write_hello(directory: Path) -> None:
    (directory / "hello").write_text("hello")


def test_two_builds_have_the_same_bytes(model_dir: Path, tmp_path: Path) -> None:
    assert build(tmp_path / "again")
    assert digests(tmp_path / "again") == digests(model_dir)


def test_a_current_target_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "model"
    assert install(target, "one", write_hello)
    (target / "hello").write_text("touched")

    assert not install(target, "one", write_hello)

    assert (target / "hello").read_text() == "touched"


def test_an_older_build_is_replaced_and_nothing_else_remains(tmp_path: Path) -> None:
    target = tmp_path / "model"
    install(target, "one", write_hello)
    (target / "stale").write_text("of version one")

    assert install(target, "two", write_hello)

    assert digests(target).keys() == {"hello", MARKER}
    assert list(tmp_path.iterdir()) == [target]


def test_an_empty_directory_can_be_the_target(tmp_path: Path) -> None:
    assert install(tmp_path, "one", write_hello)


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_target_that_is_not_ours_is_refused_and_kept(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "precious"
    content = target
    if kind == "directory":
        target.mkdir()
        content = target / "thesis"
    content.write_text("years of work")

    with pytest.raises(TargetOccupiedError, match="precious"):
        install(target, "one", write_hello)

    assert content.read_text() == "years of work"


def test_a_build_that_fails_leaves_the_older_one_and_no_trace(tmp_path: Path) -> None:
    target = tmp_path / "model"
    install(target, "one", write_hello)

    def fail(directory: Path) -> None:
        write_hello(directory)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        install(target, "two", fail)

    assert (target / MARKER).read_text() == "one"
    assert list(tmp_path.iterdir()) == [target]


def test_of_two_builders_at_a_time_one_wins_and_the_other_finds_it_done(tmp_path: Path) -> None:
    target = tmp_path / "model"

    def slow(directory: Path) -> None:
        write_hello(directory)
        assert install(target, "one", write_hello), "the faster builder wins"

    assert not install(target, "one", slow)
    assert list(tmp_path.iterdir()) == [target]
