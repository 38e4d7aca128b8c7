"""Two transactions at once: every event of a run waits for the run's lock, and nobody waits for ever."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from shared.core.states import RunKind
from shared.database.execution import Attempt, Run
from shared.database.requests import cancel_run, lock_analysis
from shared.database.resources import Analysis
from shared.messages.catalogue import AttemptFinished, ClaimWork, Token
from shared.messages.envelope import decode
from tests.task_controller.waiting import eventually
from tests.task_controller.world import MODEL_QUEUE, World

pytestmark = pytest.mark.integration


@contextmanager
def held(engine: Engine, run_id: int) -> Iterator[None]:
    """Somebody else has the run's lock while inside."""
    with engine.begin() as connection:
        connection.execute(select(Run.id).where(Run.id == run_id).with_for_update())
        yield


def waiting_for_a_lock(world: World) -> int:
    """How many transactions of this database wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return int(world.value(text(query)))


def at_once(world: World, run_id: int, *calls: Callable[[], Any]) -> list[Any]:
    """Let all calls come to the run's lock before any of them gets it; what they return."""
    with ThreadPoolExecutor(len(calls)) as pool:
        with held(world.engine, run_id):
            futures: list[Future[Any]] = [pool.submit(call) for call in calls]
            eventually(lambda: waiting_for_a_lock(world) == len(calls), "all wait for the lock")
        return [future.result(timeout=30) for future in futures]


def test_the_last_two_chunks_at_once_queue_the_next_stage_exactly_once(world: World) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    grants = [world.granted(), world.granted()]
    at_once(world, run_id, *[lambda grant=grant: world.finish(grant) for grant in grants])  # type: ignore[misc]
    assert world.states(run_id)["collect-keys"] == "QUEUED"
    assert len(world.posted(Token)) == 4
    world.check_counters(run_id)


def test_two_claims_at_once_never_get_the_same_sub_task(world: World) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS)
    grants = at_once(world, run_id, *[lambda name=name: world.claim(worker=name) for name in ("a", "b", "c")])  # type: ignore[misc]
    assert sum(grant is not None for grant in grants) == 1
    world.check_counters(run_id)


def test_replicas_that_claim_at_once_all_get_work_when_there_is_enough(world: World) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS, lookups=3)
    world.work_up_to("prepare-keys-file-0")
    grants = at_once(world, run_id, *[lambda name=name: world.claim(worker=name) for name in ("a", "b", "c")])  # type: ignore[misc]
    assert sorted(grant.chunk for grant in grants) == [0, 1, 2]


def test_one_claim_asked_at_two_replicas_at_once_gets_one_grant(world: World) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS, lookups=2)
    world.work_up_to("prepare-keys-file-0")
    claim_id = uuid4()
    first, second = at_once(world, run_id, *[lambda: world.claim(claim_id=claim_id)] * 2)
    assert first == second
    assert first is not None
    attempts = select(Attempt.attempt_id).where(Attempt.claim_id == claim_id)
    assert world.value(attempts) == first.attempt_id
    assert world.states(run_id)["prepare-keys-file-1"] == "QUEUED"


def test_a_claim_waits_for_a_cancel_that_is_being_committed_and_gets_nothing(world: World) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS)
    with ThreadPoolExecutor(1) as pool:
        with Session(world.engine) as session:
            analysis = lock_analysis(session, world.analysis_of(run_id))
            assert analysis is not None
            cancel_run(session, analysis)
            claim = pool.submit(world.claim)
            eventually(lambda: waiting_for_a_lock(world) == 1, "the claim waits")
            session.commit()
        assert claim.result(timeout=30) is None


def test_a_result_waits_for_a_cancel_that_is_being_committed_and_confirms_it(world: World) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS)
    grant = world.granted()
    with ThreadPoolExecutor(1) as pool:
        with Session(world.engine) as session:
            analysis = lock_analysis(session, world.analysis_of(run_id))
            assert analysis is not None
            cancel_run(session, analysis)
            result = pool.submit(world.finish, grant)
            eventually(lambda: waiting_for_a_lock(world) == 1, "the result waits")
            session.commit()
        result.result(timeout=30)
    assert world.run_state(run_id) == "CANCELLED"
    assert world.attempt(grant.attempt_id).state == "cancelled"


def test_a_result_of_an_analysis_that_is_being_deleted_is_refused(world: World) -> None:
    run_id = world.started(RunKind.GENERATE_INPUTS)
    grant = world.granted()
    with ThreadPoolExecutor(1) as pool:
        with world.engine.begin() as connection:
            analysis_id = world.analysis_of(run_id)
            connection.execute(select(Analysis.id).where(Analysis.id == analysis_id).with_for_update())
            answer = pool.submit(world.finish, grant)
            eventually(lambda: waiting_for_a_lock(world) == 1, "the result waits")
            connection.exec_driver_sql("DELETE FROM analyses WHERE id = %s", (analysis_id,))
        assert type(answer.result(timeout=30)).__name__ == "AttemptRefused"


def test_replicas_that_work_on_many_runs_at_once_do_not_meet_in_a_deadlock(world: World) -> None:
    runs = [world.started(RunKind.GENERATE_INPUTS, lookups=6) for _ in range(4)]

    def replica(name: str) -> None:
        while True:
            claims = [ClaimWork(uuid4(), name, queue, 0) for queue in (MODEL_QUEUE, MODEL_QUEUE, "celery-v2")]
            grants = [reply.message.grant for reply in world.tell(*claims)]  # type: ignore[attr-defined]
            ends = [AttemptFinished(grant.attempt_id, name) for grant in reversed(grants) if grant]
            world.tell(*ends)
            if not ends and all(world.run_state(run_id) == "COMPLETED" for run_id in runs):
                return

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(replica, f"replica-{i}") for i in range(3)]:
            future.result(timeout=60)
    for run_id in runs:
        world.check_counters(run_id)
        assert {row.fence for row in world.sub_tasks(run_id)} == {1}
    tokens = sum(row.copies for row in world.posted() if isinstance(decode(row.body), Token))
    assert tokens == 4 * 12
