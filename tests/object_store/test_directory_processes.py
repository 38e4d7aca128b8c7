"""Objects in a directory beside other processes and threads: killed, competing, or out of space."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from shared.object_store import ObjectNotFound, ObjectStoreUnavailable
from shared.object_store.directory import DirectoryStore
from tests.object_store.streams import MIB, PatternStream

WRITER = """
import io, sys
from pathlib import Path
from shared.object_store.directory import DirectoryStore

class Stalling(io.RawIOBase):
    asked = 0
    def readable(self):
        return True
    def read(self, size=-1):
        self.asked += 1
        if self.asked == 2:
            print("half written", flush=True)
            sys.stdin.read()
        return b"x" * 100_000

DirectoryStore(Path(sys.argv[1])).put("run/losses.csv", Stalling())
"""

COMPETITOR = """
import io, sys
from pathlib import Path
from shared.object_store.directory import DirectoryStore

store = DirectoryStore(Path(sys.argv[1]))
for number in range(100):
    store.put("run/key", io.BytesIO(sys.argv[2].encode() * (200_000 + number)))
"""

LIMITED = """
import io, resource, sys
from pathlib import Path
from shared.object_store import ObjectStoreUnavailable
from shared.object_store.directory import DirectoryStore

resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    DirectoryStore(Path(sys.argv[1])).put("run/large", io.BytesIO(bytes(2_000_000)))
except ObjectStoreUnavailable as error:
    print(error)
"""

REFUSED = """
import io, sys
from pathlib import Path
from shared.object_store import ObjectStoreDenied
from shared.object_store.directory import DirectoryStore

store = DirectoryStore(Path(sys.argv[1]))
for operation in (store.check, lambda: store.put("key", io.BytesIO()), lambda: store.delete("kept")):
    try:
        operation()
    except ObjectStoreDenied as error:
        print("denied:", "check its rights" in str(error), error.retryable)
"""

WITHOUT_PRIVILEGES = ("setpriv", "--inh-caps=-all", "--bounding-set=-all") if os.geteuid() == 0 else ()
"""Even root obeys the rights of folders then."""


@contextmanager
def python(program: str, *arguments: object, prefix: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs the program; killed at the end of the block if it has not ended."""
    command = [*prefix, sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def temporary_files(root: Path) -> list[Path]:
    return list(root.rglob(".tmp-*"))


def test_a_writer_killed_half_way_leaves_nothing_visible(directory_store: DirectoryStore, root: Path) -> None:
    with python(WRITER, root) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half written\n"
        [half] = temporary_files(root)
        assert half.stat().st_size == 100_000
        writer.kill()
        writer.wait()

    assert temporary_files(root) == [half]
    assert list(directory_store.list("")) == []
    with pytest.raises(ObjectNotFound):
        directory_store.open("run/losses.csv")
    directory_store.put("run/losses.csv", io.BytesIO(b"next attempt"))
    assert [info.key for info in directory_store.list("run")] == ["run/losses.csv"]


def test_two_processes_writing_one_key_never_mix(directory_store: DirectoryStore, root: Path) -> None:
    seen = set()
    with python(COMPETITOR, root, "a") as first, python(COMPETITOR, root, "b") as second:
        while first.poll() is None or second.poll() is None:
            try:
                with directory_store.open("run/key") as reader:
                    content = reader.read()
            except ObjectNotFound:
                assert not seen, "an object disappeared while it was overwritten"
                continue
            assert len(content) >= 200_000
            assert content == content[:1] * len(content)
            seen.add(content[:1])
        assert (first.returncode, second.returncode) == (0, 0)

    assert seen == {b"a", b"b"}
    assert temporary_files(root) == []


def test_a_store_without_space_is_unavailable_and_keeps_nothing(root: Path) -> None:
    with python(LIMITED, root) as limited:
        output, _ = limited.communicate()

    assert "not full" in output
    assert [path.name for path in root.rglob("*")] == ["run"]


def test_a_store_that_may_only_be_read_is_denied(directory_store: DirectoryStore, root: Path) -> None:
    directory_store.put("kept", io.BytesIO(b"content"))
    root.chmod(0o500)

    with python(REFUSED, root, prefix=WITHOUT_PRIVILEGES) as refused:
        output, _ = refused.communicate()

    root.chmod(0o700)
    assert output.splitlines() == ["denied: True False"] * 3
    assert [info.key for info in directory_store.list("")] == ["kept"]


@pytest.mark.parametrize("key", ["a/b/c/mine", "a/mine"])
def test_puts_succeed_while_others_remove_the_folders(directory_store: DirectoryStore, root: Path, key: str) -> None:
    done = Event()

    def remove() -> int:
        rounds = 0
        while not done.is_set():
            directory_store.delete_prefix("a")
            directory_store.put("a/b/other", io.BytesIO(b""))
            directory_store.delete("a/b/other")
            rounds += 1
        return rounds

    with ThreadPoolExecutor(2) as pool:
        removers = [pool.submit(remove) for _ in range(2)]
        try:
            for _ in range(300):
                directory_store.put(key, io.BytesIO(b"content"))
        finally:
            done.set()
        assert all(remover.result() for remover in removers)

    directory_store.put(key, io.BytesIO(b"content"))
    assert [info.key for info in directory_store.list("")] == [key]
    assert temporary_files(root) == []


def test_a_put_that_is_under_way_survives_a_delete_of_its_folder(directory_store: DirectoryStore) -> None:
    class Deleting(PatternStream):
        def readinto(self, buffer: bytearray, /) -> int:
            directory_store.delete_prefix("run")
            return super().readinto(buffer)

    directory_store.put("run/attempt/losses", Deleting(MIB))

    assert directory_store.stat("run/attempt/losses").size == MIB


def test_a_file_that_somebody_else_swept_is_reported_for_another_try(
    directory_store: DirectoryStore, root: Path
) -> None:
    class Sweeping(PatternStream):
        def readinto(self, buffer: bytearray, /) -> int:
            for path in temporary_files(root):
                path.unlink()
            return super().readinto(buffer)

    with pytest.raises(ObjectStoreUnavailable) as caught:
        directory_store.put("run/losses", Sweeping(10))

    assert caught.value.retryable
    assert not directory_store.exists("run/losses")
