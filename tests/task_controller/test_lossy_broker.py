"""All loops, workers that crash, and a broker that loses, doubles and forgets: every run still ends right."""

import random
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from services.task_controller.heartbeats import Heartbeats
from services.task_controller.intake import Intake
from services.task_controller.reaping import Reaper
from services.task_controller.reconciler import Reconciler
from services.task_controller.relay import Relay
from services.task_controller.settings import Settings
from shared.core.plan import RECORDER_QUEUE
from shared.core.states import RunKind
from shared.database.execution import Attempt
from shared.topology import PLATFORM
from tests.fakes.broker import MemoryBroker
from tests.task_controller.lossy import LossyServer, LossyWorker
from tests.task_controller.waiting import eventually
from tests.task_controller.wire import bodies_in, running
from tests.task_controller.world import MODEL_QUEUE, World

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("seed", [1, 2])
def test_every_run_ends_right_although_messages_are_lost_and_doubled_and_workers_crash(
    world: World, settings: Settings, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - faults, not secrets
    server = LossyServer(chance, lost=0.1, doubled=0.1)
    broker = MemoryBroker(server)
    broker.declare(PLATFORM)
    quick = replace(settings, lease=1.0, reaper_looks_every=0.1, reconcile_every=0.1)
    loops = {
        "intake": Intake(world.engine, broker, quick).run,
        "heartbeats": Heartbeats(world.engine, broker, quick).run,
        "relay": Relay(world.engine, broker).run,
        "reconciler": Reconciler(world.engine, broker, quick).run,
        "reaper": Reaper(world.engine, broker, quick).run,
    }
    queues = {"a": MODEL_QUEUE, "b": MODEL_QUEUE, "c": MODEL_QUEUE, "recorder": RECORDER_QUEUE}
    workers = {name: LossyWorker(server, queue, chance, crashes=0.03).run for name, queue in queues.items()}
    whole = world.request(world.analysis(), RunKind.GENERATE_AND_RUN, lookups=4, losses=6)
    losses = world.request(world.analysis("READY"), RunKind.GENERATE_LOSSES, losses=5)
    stopped = world.request(world.analysis(priority=9), RunKind.GENERATE_AND_RUN, lookups=8, losses=8)
    with running(**loops, **workers):
        eventually(lambda: "STARTED" in world.states(stopped).values(), "the urgent run starts")
        world.cancel(stopped)
        eventually(lambda: "COMPLETED" in world.states(whole).values(), "the next run goes on")
        bodies_in(server, MODEL_QUEUE)  # tokens wiped in mid-run
        ends = ("COMPLETED", "CANCELLED", "FAILED")
        for run_id in (whole, losses, stopped):
            eventually(lambda run_id=run_id: world.run_state(run_id) in ends, f"run {run_id} ends")  # type: ignore[misc]
        server.calm = True
    assert (world.run_state(whole), world.status(whole)) == ("COMPLETED", "RUN_COMPLETED")
    assert (world.run_state(losses), world.status(losses)) == ("COMPLETED", "RUN_COMPLETED")
    assert world.run_state(stopped) == "CANCELLED"
    assert world.status(stopped) in ("INPUTS_GENERATION_CANCELLED", "RUN_CANCELLED")
    for run_id in (whole, losses, stopped):
        world.check_counters(run_id)
        nothing_happened_twice(world, run_id)
    broker.close()


def nothing_happened_twice(world: World, run_id: int) -> None:
    """Each completed sub-task has one completed attempt, and what is visible is what that attempt left."""
    query = select(Attempt.sub_task_id, func.count()).where(Attempt.run_id == run_id, Attempt.state == "completed")
    with world.engine.connect() as connection:
        completed = {row[0]: row[1] for row in connection.execute(query.group_by(Attempt.sub_task_id))}
    for row in world.sub_tasks(run_id):
        assert completed.get(row.id, 0) == (row.state == "COMPLETED")
        if row.state == "COMPLETED":
            assert f"attempt-{row.attempt_id}/" in row.artifacts["result"]["key"]
