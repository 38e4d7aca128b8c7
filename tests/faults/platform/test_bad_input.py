"""What no service of ours would say, on every queue and exchange: nobody dies of it, and no run goes wrong."""

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from uuid import UUID, uuid4

import pika
import pytest
from sqlalchemy import select

from shared import names
from shared.broker.port import OutgoingMessage
from shared.core.inputs import FileRef
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.database.execution import Attempt, Outbox, SubTask, Worker
from shared.messages.catalogue import AttemptFinished, ClaimWork, Message, StartRun, Token, WorkerBeat
from shared.messages.envelope import encode
from shared.topology import PLATFORM
from tests.faults.platform.analyses import Work, submit
from tests.faults.platform.platform import BrokenPlatform, wait
from tests.faults.platform.promise import check_promise
from tests.faults.platform.undisturbed import Undisturbed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

_WHOLE = encode(StartRun(1))
BAD: dict[str, bytes] = {
    "garbage": random.Random(1).randbytes(300),  # noqa: S311 - the same at every run
    "empty": b"",
    "truncated": _WHOLE[:-7],
    "not an envelope": b"[1, 2, 3]",
    "of nobody": b'{"type": "Nothing", "version": 1, "body": {}}',
    "of another version": _WHOLE.replace(b'"version":1', b'"version":99'),
    "of another shape": b'{"type": "StartRun", "version": 1, "body": {"run_id": "all"}}',
    "oversized": b'{"type": "StartRun", "version": 1, "body": {"x": "' + 8_000_000 * b"x" + b'"}}',
    "nested without end": 100_000 * b"[",
}
LONG = Work(seconds=(("generate-losses-chunk", 2.5),))
"""With chunks that a heartbeat is sure to list."""
PARKING = (names.TASK_CONTROLLER_QUEUE, names.HEARTBEAT_QUEUE, names.MONITOR_QUEUE, RECORDER_QUEUE)
"""Whose readers put aside what they cannot read. A token of a model queue says nothing, so nobody reads it."""


@pytest.fixture
def parking(platform: BrokenPlatform) -> Iterator[None]:
    """The parking queue is left empty."""
    yield
    with closing(pika.BlockingConnection(pika.URLParameters(platform.broker.url))) as connection:
        connection.channel().queue_purge(names.PARKED_QUEUE)


@pytest.mark.usefixtures("parking")
def test_what_cannot_be_read_is_parked_and_nobody_dies_of_it(
    platform: BrokenPlatform, undisturbed: Undisturbed
) -> None:
    # Given a run, and everything that reads messages
    pids = dict(platform.tree.pids())
    analysis = submit(platform, Work())
    queues = (*(queue.name for queue in PLATFORM.queues), platform.queue, *worker_queues(platform))
    # When every queue and exchange gets every bad message
    publish(platform, [("", queue, body) for queue in queues for body in BAD.values()])
    publish(platform, [(exchange.name, "", body) for exchange in PLATFORM.exchanges for body in BAD.values()])
    # Then it is parked by who reads it, the worker monitor's own queue and its copy of the control messages included;
    # model workers leave out what is not for them
    expected = (len(PARKING) + len({names.PARKED_QUEUE}) + 2) * len(BAD)
    check_promise(platform, [undisturbed.completed(analysis)], parked=expected)
    assert platform.tree.pids() == pids


def test_messages_said_again_change_nothing(platform: BrokenPlatform, undisturbed: Undisturbed) -> None:
    # Given a run that has completed, and one that is under way
    over = submit(platform, Work())
    wait(over.has_ended, "the end of a run")
    analysis = submit(platform, Work())
    # When all that was ever sent is sent again, in another order
    with platform.engine.connect() as connection:
        said = connection.execute(select(Outbox.exchange, Outbox.routing_key, Outbox.body)).all()
    again = [tuple(row) for row in said]
    random.Random(2).shuffle(again)  # noqa: S311 - the same at every run
    publish(platform, again)
    # Then both are as they were, or would have been
    check_promise(platform, [undisturbed.completed(each) for each in (over, analysis)])


def test_results_of_attempts_that_ended_are_refused(platform: BrokenPlatform, undisturbed: Undisturbed) -> None:
    # Given a run whose worker was killed, so that chunks have attempts with an old fence, and which has completed
    undisturbed.prepare(LONG)
    analysis = submit(platform, LONG)
    wait(lambda: started_chunks(platform, analysis.run_id()), "chunks that are under way")
    platform.kill("worker-1")
    platform.kill("worker-2")
    wait(analysis.has_ended, "the end of the run", within=90)
    # When every attempt that ever was comes back with another result, or a failure
    with platform.engine.connect() as connection:
        query = select(Attempt.attempt_id, Attempt.worker_id).where(Attempt.run_id == analysis.run_id())
        attempts = connection.execute(query).all()
    false = {"chunk_work_location": FileRef("nowhere", "nothing")}
    reports = [AttemptFinished(each.attempt_id, each.worker_id, artifacts=false) for each in attempts]
    reports += [AttemptFinished(each.attempt_id, each.worker_id, Cause.MODEL_ERROR, "no") for each in attempts]
    reports.append(AttemptFinished(uuid4(), "nobody", artifacts=false))
    say(platform, reports)
    # Then nothing has changed
    check_promise(platform, [undisturbed.completed(analysis)])


def test_work_granted_to_an_unknown_worker_goes_to_another_one(
    platform: BrokenPlatform, undisturbed: Undisturbed
) -> None:
    # Given a run, and somebody who claims and is never heard of again
    analysis = submit(platform, Work())
    stranger = f"stranger-{uuid4().hex}"
    wait(lambda: claimed(platform, stranger), "a grant to the stranger")
    # Then what the stranger was granted is done by somebody else, and does not count
    check_promise(platform, [undisturbed.completed(analysis)])
    with platform.engine.connect() as connection:
        ends = connection.scalars(select(Attempt.state).where(Attempt.worker_id == stranger)).all()
    assert set(ends) == {"undelivered"}


def test_two_workers_with_one_name_do_no_harm(platform: BrokenPlatform, undisturbed: Undisturbed) -> None:
    # Given a run, and somebody who goes by the names of its workers and holds nothing
    undisturbed.prepare(LONG)
    analysis = submit(platform, LONG)
    workers = living_workers(platform)

    def impersonated() -> bool:
        beats = [WorkerBeat(each, platform.queue, "elsewhere", slots=64, free_slots=64) for each in workers]
        say(platform, beats, names.HEARTBEAT_QUEUE)
        say(platform, [ClaimWork(uuid4(), each, platform.queue, 0) for each in workers])
        return analysis.has_ended()

    # When the namesake beats and claims for as long as the run lasts: what it is granted nobody executes
    wait(lambda: impersonated() or started_chunks(platform, analysis.run_id()), "chunks that are under way")
    # Then the run completes
    check_promise(platform, [undisturbed.completed(analysis)])


def publish(platform: BrokenPlatform, messages: Sequence[tuple[str, str, bytes]]) -> None:
    """Send bodies as they are: exchange, routing key, body."""
    platform.observer.publish([OutgoingMessage(*each, mandatory=False) for each in messages], timeout=60)


def say(platform: BrokenPlatform, messages: Sequence[Message], queue: str = names.TASK_CONTROLLER_QUEUE) -> None:
    """Send messages to the task controller."""
    publish(platform, [("", queue, encode(message)) for message in messages])


def claimed(platform: BrokenPlatform, worker_id: str) -> list[UUID]:
    """Claim once more; what this worker has been granted so far."""
    say(platform, [ClaimWork(uuid4(), worker_id, platform.queue, 0)])
    publish(platform, [("", platform.queue, encode(Token(platform.queue)))])
    with platform.engine.connect() as connection:
        return list(connection.scalars(select(Attempt.attempt_id).where(Attempt.worker_id == worker_id)))


def started_chunks(platform: BrokenPlatform, run_id: int) -> list[str]:
    """Loss chunks that run, as heartbeats say."""
    query = select(SubTask.slug).join(Attempt, Attempt.attempt_id == SubTask.attempt_id)
    running = SubTask.slug.startswith("generate-losses-chunk") & (Attempt.state == "running")
    with platform.engine.connect() as connection:
        return list(connection.scalars(query.where(SubTask.run_id == run_id, running)))


def living_workers(platform: BrokenPlatform) -> list[str]:
    """The incarnations of the model's workers that live now."""
    files = [platform.launch.id_file(name) for name in ("worker-1", "worker-2")]
    return [file.read_text(encoding="utf-8").partition(" ")[2] for file in files]


def worker_queues(platform: BrokenPlatform) -> list[str]:
    """The queues of the workers, of the worker monitor's too."""
    with platform.engine.connect() as connection:
        monitors = connection.scalars(select(Worker.worker_id).where(Worker.queue == RECORDER_QUEUE)).all()
    return [names.worker_queue(each) for each in (*living_workers(platform), *monitors)]
