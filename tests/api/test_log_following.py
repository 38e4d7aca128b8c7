"""The output log of a sub-task: followed while it grows, and read in ranges."""

import io
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from threading import Thread
from typing import Any, BinaryIO

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.api.dependencies import Dependencies
from services.api.following import Follower, Look
from shared.core.plan import log_key
from shared.database.execution import Attempt, SubTask
from shared.object_store import ObjectStoreUnavailable
from tests.api.api_client import ANALYSIS_SETTINGS, Api
from tests.api.executed import Execution
from tests.fakes.object_store import MemoryStore

ENDED = True


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def put(store: MemoryStore, key: str, text: str) -> None:
    store.put(key, io.BytesIO(text.encode()))


def followed(
    store: MemoryStore, looks: Iterable[Callable[[], Look]], offset: int = 0, within: float = 1000.0
) -> Iterator[str]:
    """The blocks, each as text; a second passes from look to look."""
    script = iter(looks)
    time = [0.0]

    def sleep(seconds: float) -> None:
        time[0] += seconds

    follower = Follower(store, lambda: next(script)(), offset)
    return (block.decode() for block in follower.blocks(within, lambda: time[0], sleep))


class TestFollower:
    def test_what_comes_later_is_sent_when_it_comes(self, store: MemoryStore) -> None:
        def grows(text: str, *, ended: bool = False) -> Callable[[], Look]:
            def look() -> Look:
                put(store, "a", text)
                return Look(("a",), ended)

            return look

        blocks = followed(
            store, [grows("one\n"), grows("one\n"), grows("one\ntwo\n"), grows("one\ntwo\n!", ended=True)]
        )
        assert list(blocks) == ["one\n", "two\n", "!"]

    @pytest.mark.parametrize("offset", range(10))
    def test_whoever_was_cut_off_goes_on_where_they_were(self, store: MemoryStore, offset: int) -> None:
        for key, text in (("a", "abc"), ("c", "def"), ("d", "gh")):
            put(store, key, text)
        looks = [lambda: Look(("a", "missing", "c", "d"), ENDED)]
        assert "".join(followed(store, looks, offset)) == "abcdefgh"[offset:]

    def test_a_new_attempt_follows_the_one_before(self, store: MemoryStore) -> None:
        put(store, "a", "first\n")
        put(store, "b", "second\n")
        looks = [lambda: Look(("a",), False), lambda: Look(("a", "b"), False), lambda: Look(("a", "b"), ENDED)]
        assert list(followed(store, looks)) == ["first\n", "second\n"]

    def test_the_wait_is_bounded(self, store: MemoryStore) -> None:
        put(store, "a", "first\n")
        looked: list[int] = []

        def look() -> Look:
            looked.append(1)
            return Look(("a",), False)

        assert list(followed(store, repeat(look), within=10.0)) == ["first\n"]
        assert len(looked) == 11

    def test_a_store_or_a_database_that_is_away_for_a_moment_breaks_nothing(self) -> None:
        class Moody(MemoryStore):
            away = 2

            def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
                self.away -= 1
                if self.away >= 0:
                    raise ObjectStoreUnavailable("away")
                return super().open(key, start, end)

        def gone() -> Look:
            raise OperationalError("select", {}, Exception("gone"))

        store = Moody()
        put(store, "a", "all of it")
        there = Look(("a",), False)
        looks = chain([gone], repeat(lambda: there, 3), [lambda: Look(("a",), ENDED)])
        assert list(followed(store, looks)) == ["all of it"]


@pytest.fixture
def execution(api: Api, session: Session, dependencies: Dependencies) -> Execution:
    analysis = api.analysis(settings=ANALYSIS_SETTINGS)
    assert api.post(f"analyses/{analysis['id']}/generate_and_run/").status_code == 200
    return Execution(session, dependencies.store, analysis)


@pytest.fixture
def url(execution: Execution) -> str:
    return f"analysis-task-statuses/{execution.sub_task('collect-keys').id}/output_log/"


def running(execution: Execution) -> str:
    """Begin an attempt; the key of its log, which only its worker knows so far."""
    execution.attempt("collect-keys", "running")
    attempt: Any = execution.session.query(Attempt).order_by(Attempt.fence.desc()).first()
    execution.move("collect-keys", "STARTED")
    return log_key(execution.run.run_uuid, str(attempt.attempt_id))


class TestFollowing:
    def test_the_logs_of_all_attempts_come_one_after_the_other(self, api: Api, execution: Execution, url: str) -> None:
        execution.attempt("collect-keys", "failed", "first\n")
        execution.attempt("collect-keys", "lost")
        execution.attempt("collect-keys", "completed", "third\n")
        execution.move("collect-keys", "COMPLETED")
        answer = api.get(f"{url}?follow=true")
        assert (answer.text, answer.headers["Content-Type"]) == ("first\nthird\n", "text/plain")
        assert api.get(f"{url}?follow=5&offset=8").text == "ird\n"

    def test_a_running_sub_task_is_followed_to_its_end(
        self, api: Api, execution: Execution, url: str, dependencies: Dependencies
    ) -> None:
        key = running(execution)
        sub_task_id = execution.sub_task("collect-keys").id
        dependencies.store.put(key, io.BytesIO(b"reading\n"))
        answer = api.get(f"{url}?follow=60", buffered=False)
        blocks = iter(answer.response)
        assert next(blocks) == b"reading\n"
        dependencies.store.put(key, io.BytesIO(b"reading\nwriting\n"))
        assert next(blocks) == b"writing\n"

        def end() -> None:
            with Session(dependencies.engine) as session:
                session.get_one(SubTask, sub_task_id).state = "COMPLETED"
                session.commit()

        Thread(target=end).start()
        assert list(blocks) == []
        answer.close()

    def test_a_running_sub_task_can_be_read_without_following(
        self, api: Api, execution: Execution, url: str, dependencies: Dependencies
    ) -> None:
        key = running(execution)
        assert api.get(url).status_code == 404
        dependencies.store.put(key, io.BytesIO(b"reading\n"))
        assert api.get(url).text == "reading\n"

    def test_it_ends_after_the_time_that_was_asked_for(self, api: Api, execution: Execution, url: str) -> None:
        running(execution)
        assert api.get(f"{url}?follow=0.1").text == ""

    @pytest.mark.parametrize("query", ["follow=0", "follow=maybe", "follow=nan", "follow=1&offset=-1"])
    def test_a_request_that_makes_no_sense_is_refused(self, api: Api, url: str, query: str) -> None:
        assert api.get(f"{url}?{query}").status_code == 400

    def test_as_many_follow_as_are_allowed_and_the_next_is_told_so(
        self, api_with: Callable[..., Api], execution: Execution, url: str, dependencies: Dependencies
    ) -> None:
        # The client of the tests waits for the first block.
        dependencies.store.put(running(execution), io.BytesIO(b"reading\n"))
        api = api_with(most_followers=1).login("admin", "password")
        first = Api(api.app).login("admin", "password").get(f"{url}?follow=3", buffered=False)
        refused = api.get(f"{url}?follow=3")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        assert "OASIS_API_FOLLOWERS" in (refused.json or {})["detail"]
        first.close()
        for _ in range(3):
            assert api.get(f"{url}?follow=0.1").status_code == 200
        assert api.app.test_client().head(f"/v2/{url}?follow=60", headers=api.headers).status_code in (200, 404)
        assert api.get(f"{url}?follow=0.1").status_code == 200


class TestRanges:
    @pytest.fixture(autouse=True)
    def ended(self, execution: Execution) -> str | None:
        key = execution.attempt("collect-keys", "completed", "0123456789")
        execution.move("collect-keys", "COMPLETED")
        return key

    @pytest.mark.parametrize(
        ("wanted", "text", "content_range"),
        [
            ("bytes=2-4", "234", "bytes 2-4/10"),
            ("bytes=7-", "789", "bytes 7-9/10"),
            ("bytes=-3", "789", "bytes 7-9/10"),
        ],
    )
    def test_a_range_is_sent_as_one(self, api: Api, url: str, wanted: str, text: str, content_range: str) -> None:
        answer = api.get(url, headers={"Range": wanted})
        assert (answer.status_code, answer.text, answer.headers["Content-Range"]) == (206, text, content_range)

    def test_the_whole_log_says_that_ranges_are_heeded(self, api: Api, url: str) -> None:
        answer = api.get(url)
        assert (answer.status_code, answer.text, answer.headers["Accept-Ranges"]) == (200, "0123456789", "bytes")

    def test_a_range_behind_the_end_is_refused_with_the_size(self, api: Api, url: str) -> None:
        answer = api.get(url, headers={"Range": "bytes=10-"})
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */10")

    @pytest.mark.parametrize("wanted", ["bytes=a-b", "lines=1-2", "bytes=0-1,4-5"])
    def test_a_range_that_is_not_understood_is_left_aside(self, api: Api, url: str, wanted: str) -> None:
        answer = api.get(url, headers={"Range": wanted})
        assert (answer.status_code, answer.text) == (200, "0123456789")

    def test_a_log_that_is_gone_is_empty_and_no_error(
        self, api: Api, url: str, ended: str, dependencies: Dependencies
    ) -> None:
        dependencies.store.delete(ended)
        for headers in ({}, {"Range": "bytes=2-4"}):
            answer = api.get(url, headers=headers)
            assert (answer.status_code, answer.text) == (200, "")
        assert api.get(f"{url}?follow=true").text == ""
