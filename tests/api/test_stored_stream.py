"""A stored object reads like the file that it was, wherever one seeks."""

import io
import zipfile

from hypothesis import given
from hypothesis import strategies as st

from services.api.stored_stream import stored_stream
from tests.fakes.object_store import MemoryStore

CONTENT = bytes(range(256)) * 4096
"""More than what is read ahead."""

moves = st.tuples(st.integers(-len(CONTENT), len(CONTENT) + 9), st.sampled_from([0, 1, 2]), st.integers(-1, 300_000))


class CountingStore(MemoryStore):
    """Counts what is asked of it."""

    opened = 0

    def open(self, key: str, start: int = 0, end: int | None = None) -> io.BufferedIOBase:  # type: ignore[override]
        self.opened += 1
        return super().open(key, start, end)  # type: ignore[return-value]


def _store(content: bytes = CONTENT) -> CountingStore:
    store = CountingStore()
    store.put("key", io.BytesIO(content))
    return store


@given(st.lists(moves, max_size=8))
def test_it_reads_and_seeks_like_a_file(steps: list[tuple[int, int, int]]) -> None:
    file = io.BytesIO(CONTENT)
    with stored_stream(_store(), "key", len(CONTENT)) as stored:
        for offset, whence, count in steps:
            base = (0, file.tell(), len(CONTENT))[whence]
            if base + offset >= 0:
                assert stored.seek(offset, whence) == file.seek(base + offset)
            assert stored.read(count) == file.read(count)
            assert stored.tell() == file.tell()


def test_what_is_read_on_is_one_request() -> None:
    store = _store()

    with stored_stream(store, "key", len(CONTENT)) as stored:
        while stored.read(1000):
            pass

    assert store.opened == 1


def test_an_archive_can_be_read_from_its_end() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", CONTENT)

    with stored_stream(_store(packed.getvalue()), "key", len(packed.getvalue())) as stored:
        assert zipfile.ZipFile(stored).read("a.csv") == CONTENT
