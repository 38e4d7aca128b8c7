"""The cache of objects and the log of an attempt, over a store that can be slowed and counted."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.model_worker.attempt_log import AttemptLog
from services.model_worker.objects import ObjectCache, all_of
from shared.core.inputs import FileRef
from shared.object_store import ObjectInfo, ObjectNotFound, ObjectStoreUnavailable
from tests.fakes.object_store import MemoryStore


class WatchedStore(MemoryStore):
    """Counts what is fetched and uploaded; the first upload reads its file and then waits until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.uploads = 0
        self.uploaded = 0
        self.first_upload_passes = threading.Event()
        self.first_upload_passes.set()
        self.is_down = False

    def get_file(self, key: str, path: Path) -> None:
        self.fetched.append(key)
        super().get_file(key, path)

    def put_file(self, key: str, path: Path, *, content_type: str | None = None) -> ObjectInfo:
        if self.is_down:
            raise ObjectStoreUnavailable
        copy = path.with_name(f"{path.name}.read-{time.monotonic_ns()}")
        copy.write_bytes(path.read_bytes())
        self.uploads += 1
        if self.uploads == 1:
            assert self.first_upload_passes.wait(10)
        info = super().put_file(key, copy, content_type=content_type)
        self.uploaded += 1
        return info


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore()


@pytest.fixture
def stored(store: WatchedStore, tmp_path: Path) -> FileRef:
    """An object of the store."""
    (tmp_path / "source").write_text("loc_id,tiv\n")
    MemoryStore.put_file(store, "requests/loc", tmp_path / "source")
    return FileRef("requests/loc", "my locations.csv")


async def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


class TestCache:
    async def test_many_that_want_an_object_at_once_cause_one_fetch(
        self, store: WatchedStore, stored: FileRef, tmp_path: Path
    ) -> None:
        cache = ObjectCache(store, tmp_path / "objects")
        links = [tmp_path / f"link-{n}" for n in range(20)]
        await all_of(cache.link(dict.fromkeys(two, stored)) for two in zip(links[::2], links[1::2], strict=True))
        assert store.fetched == [stored.key]
        assert {link.stat().st_ino for link in links} == {links[0].stat().st_ino}
        assert links[0].read_text() == "loc_id,tiv\n"

    async def test_a_later_attempt_links_what_an_earlier_one_fetched(
        self, store: WatchedStore, stored: FileRef, tmp_path: Path
    ) -> None:
        cache = ObjectCache(store, tmp_path / "objects")
        await cache.link({tmp_path / "first": stored})
        (tmp_path / "first").unlink()
        await cache.link({tmp_path / "second": stored})
        assert (tmp_path / "second").read_text() == "loc_id,tiv\n"
        assert store.fetched == [stored.key]

    async def test_a_missing_object_is_told_to_all_and_may_be_asked_for_again(
        self, store: WatchedStore, tmp_path: Path
    ) -> None:
        cache = ObjectCache(store, tmp_path / "objects")
        reference = FileRef("requests/late", "late.csv")
        outcomes = await asyncio.gather(
            *(cache.link({tmp_path / f"link-{n}": reference}) for n in range(3)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [ObjectNotFound] * 3
        (tmp_path / "late").write_text("here")
        MemoryStore.put_file(store, reference.key, tmp_path / "late")
        await cache.link({tmp_path / "again": reference})
        assert (tmp_path / "again").read_text() == "here"

    async def test_what_nobody_has_linked_for_long_is_removed_and_links_stay(
        self, store: WatchedStore, stored: FileRef, tmp_path: Path
    ) -> None:
        cache = ObjectCache(store, tmp_path / "objects")
        link = tmp_path / "link"
        await cache.link({link: stored})
        cache.forget_older_than(60)
        assert link.stat().st_nlink == 2
        long_ago = time.time() - 3600
        os.utime(link, (long_ago, long_ago))
        cache.forget_older_than(60)
        assert link.stat().st_nlink == 1
        assert link.read_text() == "loc_id,tiv\n"

    async def test_the_first_error_ends_the_other_works(self) -> None:
        ended: list[str] = []

        async def works_for_ever() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("it")

        async def fails() -> None:
            await asyncio.sleep(0)
            raise ObjectNotFound("k")

        with pytest.raises(ObjectNotFound):
            await asyncio.wait_for(all_of((works_for_ever(), fails())), 5)
        assert ended == ["it"]


class TestLog:
    async def test_it_is_uploaded_while_it_grows_and_whole_at_the_end(
        self, store: WatchedStore, tmp_path: Path
    ) -> None:
        log = AttemptLog(tmp_path / "log.txt", store, "logs/one")
        async with log.uploading(0.02):
            log.write(b"first")
            await eventually(lambda: store.exists("logs/one"))
            log.write(b"second \xff")
        assert await log.finish() == "logs/one"
        with store.open("logs/one") as stream:
            assert stream.read() == b"first\nsecond \xff\n"

    async def test_an_upload_under_way_does_not_come_after_the_last_one(
        self, store: WatchedStore, tmp_path: Path
    ) -> None:
        log = AttemptLog(tmp_path / "log.txt", store, "logs/one")
        log.write(b"first")

        async def the_whole_life() -> None:
            async with log.uploading(0.02):
                await eventually(lambda: store.uploads == 1)
                log.write(b"second")
            await log.finish()

        store.first_upload_passes.clear()
        life = asyncio.create_task(the_whole_life())
        await asyncio.wait((life,), timeout=0.3)  # it must not end before the first upload has
        store.first_upload_passes.set()
        await life
        await eventually(lambda: store.uploaded == store.uploads)
        with store.open("logs/one") as stream:
            assert stream.read() == b"first\nsecond\n"

    async def test_nothing_is_uploaded_that_has_not_grown(self, store: WatchedStore, tmp_path: Path) -> None:
        log = AttemptLog(tmp_path / "log.txt", store, "logs/one")
        log.write(b"all")
        async with log.uploading(0.001):
            await eventually(lambda: store.uploaded == 1)
            await asyncio.sleep(0.05)  # time for many more uploads
        await log.finish()
        assert store.uploads == 1

    async def test_a_step_without_output_has_no_log(self, store: WatchedStore, tmp_path: Path) -> None:
        assert await AttemptLog(tmp_path / "log.txt", store, "logs/one").finish() is None

    async def test_a_store_that_is_down_is_no_error_of_the_log(self, store: WatchedStore, tmp_path: Path) -> None:
        store.is_down = True
        log = AttemptLog(tmp_path / "log.txt", store, "logs/one")
        log.write(b"line")
        assert await log.finish() is None

    async def test_a_folder_that_is_gone_is_no_error_of_the_log(self, store: WatchedStore, tmp_path: Path) -> None:
        log = AttemptLog(tmp_path / "gone" / "log.txt", store, "logs/one")
        log.write(b"line")
        assert await log.finish() is None

    async def test_a_hundred_thousand_lines_are_written_in_a_moment(self, store: WatchedStore, tmp_path: Path) -> None:
        log = AttemptLog(tmp_path / "log.txt", store, "logs/one")
        began = time.process_time()
        for _ in range(100_000):
            log.write(b"x" * 80)
        assert time.process_time() - began < 2
        await log.finish()
