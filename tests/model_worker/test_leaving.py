"""What was computed is uploaded while the slot already serves the next: an attempt over a step that has ended."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from services.model_worker.attempt import Attempt, Workshop
from services.model_worker.objects import ObjectCache
from services.model_worker.processes import ChildEnd, ChildSpec, ForkServer
from services.model_worker.processes.step_codec import RESULT_NAME, StepReport, encode_report
from services.model_worker.settings import Settings
from shared.core.retries import Cause
from shared.object_store import ObjectInfo
from tests.fakes.object_store import MemoryStore
from tests.model_worker.bench import Bench


class SlowStore(MemoryStore):
    """Puts nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def put_file(self, key: str, path: Path, *, content_type: str | None = None) -> ObjectInfo:
        assert self.goes_on.wait(10)
        return super().put_file(key, path, content_type=content_type)


class EndedStep:
    """A fork server and its child in one: the step has ended with this outcome as soon as it is started."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    async def start(self, spec: ChildSpec) -> "EndedStep":
        left = spec.directory / "work-1.tar.gz"
        left.write_bytes(b"work")
        report = StepReport(self._outcome, {"chunk_work_location": left} if self._outcome == "completed" else {})
        spec.spec_path.with_name(RESULT_NAME).write_bytes(encode_report(report))
        return self

    async def lines(self) -> AsyncIterator[bytes]:
        for line in ():
            yield line

    async def wait(self) -> ChildEnd:
        return ChildEnd(0, None)

    async def close(self) -> None:
        """Nothing is left."""


def attempt_of(still: Bench, store: MemoryStore, folder: Path, outcome: str) -> Attempt:
    cache, forks = ObjectCache(store, folder / "objects"), cast("ForkServer", EndedStep(outcome))
    shop = Workshop("w", Settings.read(still.environ()), folder / "run", store, cache, forks)
    return Attempt(still.grant(), shop, "http://127.0.0.1:1/")


async def at_once() -> None:
    """The turn of a slot that nobody else has."""


async def test_a_slot_is_left_before_the_upload_and_the_report_comes_after_it(still: Bench, tmp_path: Path) -> None:
    store, left = SlowStore(), asyncio.Event()

    async def leave() -> None:
        left.set()

    running = asyncio.create_task(attempt_of(still, store, tmp_path, "completed").run(at_once, leave))
    await asyncio.wait_for(left.wait(), 10)
    assert not running.done()
    store.goes_on.set()
    report = await running
    assert (report.cause, set(report.artifacts)) == (None, {"chunk_work_location"})
    assert [info.key for info in store.list("")] == [report.artifacts["chunk_work_location"].key]


@pytest.mark.parametrize(("outcome", "cause"), [("no_keys", Cause.NO_KEYS), ("out_of_memory", Cause.OUT_OF_MEMORY)])
async def test_a_failed_step_has_nothing_to_upload(still: Bench, tmp_path: Path, outcome: str, cause: Cause) -> None:
    store = SlowStore()

    async def leave() -> None:
        raise AssertionError

    report = await attempt_of(still, store, tmp_path, outcome).run(at_once, leave)
    assert report.cause == cause
