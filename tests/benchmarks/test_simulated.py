"""What the benchmarks of fleets and of the API stand on: simulated workers with slots, and inserted analyses."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from benchmarks.gaps import Stay, stays_of
from benchmarks.many_analyses import SUB_TASKS, fill
from benchmarks.places import Places, open_places
from benchmarks.platform_under_test import VHOST, api_alone, controller_alone
from benchmarks.requesting import Target, ask, compressed, download, upload
from benchmarks.simulated_workers import simulated_workers
from services.embedded.platform import HOST
from services.embedded.rabbitmq_node import find_server
from shared.core.states import RunKind
from shared.database.resources import DataFile

pytestmark = pytest.mark.integration
QUEUE = "Lossline-Simulated-1-v2"


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    """A broker and a database server."""
    if find_server() is None:
        assert not os.environ.get("CI"), "rabbitmq-server is not installed"
        pytest.skip("rabbitmq-server is not installed")
    with open_places((VHOST,)) as opened:
        yield opened


def test_simulated_workers_use_every_slot_and_none_twice_at_once(places: Places) -> None:
    # Given
    async def run() -> list[Stay]:
        with controller_alone(places, VHOST, QUEUE) as ours:
            async with simulated_workers(places.broker(VHOST), QUEUE, count=2, work_seconds=0.5, slots=3) as workers:
                run_id = await asyncio.to_thread(ours.request, 24, RunKind.GENERATE_LOSSES)
                await asyncio.to_thread(ours.wait, run_id, 60)
                assert not any(each.refused for each in workers)
            return [stay for stay in stays_of(ours.engine, run_id) if stay.stage == 2]

    # When
    stays = asyncio.run(run())
    # Then
    places_used = Counter((each.worker_id, each.slot) for each in stays)
    assert sum(places_used.values()) == 24
    assert sorted({slot for _, slot in places_used}) == [0, 1, 2]
    assert len(places_used) == 6
    for one in stays:
        for other in stays:
            same = one is not other and (one.worker_id, one.slot) == (other.worker_id, other.slot)
            assert not (same and one.started <= other.started < one.finished)


def test_inserted_analyses_are_answered_like_any_and_files_pass_whole(places: Places) -> None:
    with api_alone(places, "inserted") as (engine, port, _, token):
        # Given
        ids, target = fill(engine, 12), Target(HOST, port, token)
        with Session(engine) as session, session.begin():
            session.add(DataFile(id=1, file_description="large"))
        # When
        with target.connected() as connection:
            bodies = [json.loads(ask(connection, target, f"/v2/analyses/{pk}/")) for pk in ids]
        upload(target, "/v2/data_files/1/content/", 3 << 20, compressed())
        # Then
        assert len(bodies) == 12
        assert {each["sub_task_count"] for each in bodies} == {SUB_TASKS}
        assert Counter(each["status"] for each in bodies) == {"RUN_COMPLETED": 11, "RUN_STARTED": 1}
        assert bodies[0]["status_count"]["QUEUED"] + bodies[0]["status_count"]["COMPLETED"] == SUB_TASKS
        assert bodies[1]["status_count"]["COMPLETED"] == SUB_TASKS
        assert download(target, "/v2/data_files/1/content/") == 3 << 20
