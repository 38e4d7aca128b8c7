"""What is special about objects in a directory: links, folders, rights, durability, leaks."""

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.object_store import InvalidKey, ObjectNotFound, ObjectStoreUnavailable
from shared.object_store import directory_tree as tree
from shared.object_store.directory import DirectoryStore
from tests.object_store.streams import BreakingStream


@pytest.fixture
def outside(tmp_path: Path, root: Path) -> Path:
    """A folder beside the root with a secret in it, to which links below the root point."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    (root / "folder-link").symlink_to(folder)
    (root / "file-link").symlink_to(folder / "secret")
    return folder


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def put(store: DirectoryStore, key: str, content: bytes = b"content") -> None:
    store.put(key, io.BytesIO(content))


def test_links_are_neither_read_nor_listed(directory_store: DirectoryStore, outside: Path) -> None:
    assert list(directory_store.list("")) == []
    assert list(directory_store.list("folder-link")) == []
    for key in ("folder-link/secret", "file-link", "folder-link"):
        assert not directory_store.exists(key)
        with pytest.raises(ObjectNotFound):
            directory_store.open(key)
        with pytest.raises(ObjectNotFound):
            directory_store.copy(key, "copy")


def test_nothing_is_deleted_through_a_link(directory_store: DirectoryStore, outside: Path) -> None:
    directory_store.delete("folder-link/secret")
    directory_store.delete("file-link")

    assert directory_store.delete_prefix("folder-link") == 0
    assert directory_store.delete_prefix("file-link") == 0
    assert files_below(outside) == ["secret"]


def test_nothing_is_written_through_a_link(directory_store: DirectoryStore, outside: Path) -> None:
    with pytest.raises(InvalidKey, match="symbolic link"):
        put(directory_store, "folder-link/new")
    put(directory_store, "file-link", b"replaces the link, not what it points to")

    assert files_below(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret"
    assert directory_store.exists("file-link")


def test_a_root_that_is_a_link_is_followed(tmp_path: Path, root: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)

    put(DirectoryStore(link), "key")

    assert files_below(root) == ["key"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_not_a_plain_file_is_no_object(
    directory_store: DirectoryStore, root: Path, make: Callable[[Path], None]
) -> None:
    make(root / "thing")

    assert not directory_store.exists("thing")
    assert list(directory_store.list("")) == []
    directory_store.delete("thing")
    assert files_below(root) == ["thing"]


def test_an_object_below_another_is_refused(directory_store: DirectoryStore, root: Path) -> None:
    put(directory_store, "a/b")

    with pytest.raises(InvalidKey, match="is an object"):
        put(directory_store, "a/b/c")
    with pytest.raises(InvalidKey, match="folder of other objects"):
        put(directory_store, "a")
    assert files_below(root) == ["a", "a/b"]


def test_folders_go_with_their_last_object(directory_store: DirectoryStore, root: Path) -> None:
    put(directory_store, "a/b/c/1")
    put(directory_store, "a/2")

    directory_store.delete("a/b/c/1")
    assert files_below(root) == ["a", "a/2"]

    assert directory_store.delete_prefix("a") == 1
    assert files_below(root) == []

    put(directory_store, "a/b/whole")
    assert directory_store.delete_prefix("a/b/whole") == 1
    assert files_below(root) == []


def test_only_abandoned_temporary_files_are_swept(directory_store: DirectoryStore, root: Path) -> None:
    put(directory_store, "run/object")
    old, young = root / "run/.tmp-old", root / "run/.tmp-young"
    for path in (old, young):
        path.write_text("half")
    past = old.stat().st_mtime - tree.ABANDONED_AFTER - 60
    os.utime(old, (past, past))

    assert directory_store.delete_prefix("run") == 1
    assert files_below(root) == ["run", "run/.tmp-young"]


def test_a_root_that_is_missing_is_unavailable_and_never_made(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "not-mounted")
    operations: list[Callable[[], object]] = [
        store.check,
        lambda: put(store, "key"),
        lambda: store.open("key"),
        lambda: store.stat("key"),
        lambda: store.exists("key"),
        lambda: store.copy("key", "other"),
        lambda: store.delete("key"),
        lambda: store.delete_prefix("key"),
        lambda: list(store.list("")),
    ]
    for operation in operations:
        with pytest.raises(ObjectStoreUnavailable, match="create or mount it"):
            operation()
    assert files_below(tmp_path) == []


def test_a_root_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ObjectStoreUnavailable, match="create or mount it"):
        DirectoryStore(tmp_path / "file").check()


def test_the_umask_decides_who_may_read(directory_store: DirectoryStore, root: Path) -> None:
    before = os.umask(0o027)
    try:
        put(directory_store, "a/b")
    finally:
        os.umask(before)

    assert stat.S_IMODE((root / "a/b").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o750


def test_the_content_is_synced_before_its_name_and_the_name_after(
    directory_store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(directory_store, "a/other")
    steps: list[str] = []
    sync, rename = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def replace(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        steps.append("rename")
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    put(directory_store, "a/b")

    assert steps == ["file", "rename", "folder"]


def test_no_descriptor_is_left_open(directory_store: DirectoryStore, outside: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    put(directory_store, "a/b/c")
    directory_store.copy("a/b/c", "a/d")
    directory_store.check()
    directory_store.exists("a/b")
    directory_store.open("a/d").close()
    next(directory_store.list(""))
    for key in ("a/b/c/d", "a", "folder-link/x"):
        with pytest.raises(InvalidKey):
            put(directory_store, key)
    with pytest.raises(RuntimeError):
        directory_store.put("broken", BreakingStream(10, RuntimeError()))
    directory_store.delete("a/d")
    directory_store.delete_prefix("a")

    assert len(list(Path("/proc/self/fd").iterdir())) == before
