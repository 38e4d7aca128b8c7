"""Large objects in constant memory, and readers beside writers."""

import hashlib
import io
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from shared.object_store import ObjectStore
from tests.object_store.streams import MIB, PatternStream

LARGE = 64 * MIB
ALLOWED = 36 * MIB
"""Peak of Python's memory: four parts of an upload to S3, and well below the object."""


@contextmanager
def memory_peak() -> Iterator[Callable[[], int]]:
    """A function that tells the peak of memory since the block began, in bytes."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def sha256(reader: io.BufferedIOBase) -> str:
    digest = hashlib.sha256()
    while chunk := reader.read(MIB):
        digest.update(chunk)
    return digest.hexdigest()


def test_64_mib_of_unknown_length_pass_in_constant_memory(real_store: ObjectStore) -> None:
    stream = PatternStream(LARGE)

    with memory_peak() as peak:
        info = real_store.put("large", stream)
        with real_store.open("large") as reader:
            digest = sha256(reader)
        assert peak() < ALLOWED

    assert digest == stream.sha256.hexdigest()
    assert info.size == real_store.stat("large").size == LARGE


def test_64_mib_files_pass_in_constant_memory(real_store: ObjectStore, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    stream = PatternStream(LARGE)
    with source.open("wb") as file:
        while chunk := stream.read(MIB):
            file.write(chunk)

    with memory_peak() as peak:
        real_store.put_file("large", source)
        real_store.copy("large", "copy")
        real_store.get_file("copy", target)
        assert peak() < ALLOWED

    with target.open("rb") as file:
        assert sha256(file) == stream.sha256.hexdigest()


@pytest.mark.parametrize("size", [8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 20 * MIB])
def test_sizes_around_the_parts_of_an_upload_survive(store: ObjectStore, size: int) -> None:
    stream = PatternStream(size)

    store.put("key", stream)

    with store.open("key") as reader:
        assert sha256(reader) == stream.sha256.hexdigest()
    with store.open("key", size - 10) as reader:
        assert len(reader.read()) == 10
    assert store.stat("key").size == size


def test_readers_never_see_a_torn_object(store: ObjectStore) -> None:
    versions = [bytes([number]) * (5 * MIB + number) for number in range(12)]
    done = Event()
    store.put("key", io.BytesIO(versions[0]))

    def write() -> None:
        try:
            for version in versions:
                store.put("key", io.BytesIO(version))
        finally:
            done.set()

    def read_until_done() -> set[int]:
        seen = set()
        while not done.is_set():
            with store.open("key") as reader:
                content = reader.read()
            assert content == versions[content[0]]
            seen.add(content[0])
        return seen

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read_until_done) for _ in range(2)]
        pool.submit(write).result()
        assert all(reader.result() for reader in readers)

    with store.open("key") as reader:
        assert reader.read() == versions[-1]


def test_parallel_writers_of_one_key_leave_one_of_their_versions(store: ObjectStore) -> None:
    versions = [bytes([number]) * MIB for number in range(16)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda version: store.put("key", io.BytesIO(version)), versions))

    with store.open("key") as reader:
        assert reader.read() in versions
    assert [info.key for info in store.list("")] == ["key"]
