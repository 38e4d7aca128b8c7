"""Workers without a broker: it dies and comes back, or the wire is cut."""

import signal
from collections.abc import Iterator
from urllib.parse import urlsplit
from uuid import UUID

import psutil
import pytest

from services.embedded.rabbitmq import PrivateBroker
from services.model_worker.contact import Contact
from shared.core.retries import Cause
from shared.messages.catalogue import AttemptFinished
from tests.fakes.tcp_proxy import TcpProxy
from tests.model_worker.bench import Bench, WorkerProcess, terminate
from tests.model_worker.controller import Controller
from tests.model_worker.waiting import wait_for


@pytest.fixture
def wire(broker: PrivateBroker) -> Iterator[TcpProxy]:
    """What lies between the worker and the broker."""
    with TcpProxy("127.0.0.1", broker.port) as proxy:
        yield proxy


def start_behind(wire: TcpProxy, bench: Bench, **more: str) -> WorkerProcess:
    parts = urlsplit(bench.broker)
    login = parts.netloc.rpartition("@")[0]
    url = parts._replace(netloc=f"{login}@{wire.host}:{wire.port}").geturl()
    return bench.start(OASIS_CELERY_BROKER_URL=url, **more)


def test_an_attempt_goes_on_while_the_broker_is_dead_and_is_reported_afterwards(
    broker: PrivateBroker, bench: Bench, controller: Controller
) -> None:
    bench.start()
    short, short_runs, short_goes_on = bench.waiting(orders={"say": ["before"]})
    long, long_runs, long_goes_on = bench.waiting()
    controller.offer(short, long)
    wait_for(lambda: short_runs.exists() and long_runs.exists(), "both steps")

    broker.kill()
    short_goes_on.touch()  # it ends while nobody can hear of it
    wait_for(lambda: bench.store.exists(short.log_key), "the log of the short one")
    broker.restart()

    wait_for(
        lambda: [r for b in controller.beats for r in b.finished if r.attempt_id == short.attempt_id], "its report"
    )
    beat = controller.next_beat()
    assert [held.attempt_id for held in beat.running] == [long.attempt_id]
    long_goes_on.touch()
    assert controller.report_of(long).cause is None
    again = bench.grant({})
    controller.offer(again)
    assert controller.report_of(again).cause is None
    wait_for(lambda: controller.tokens() == (0, 1), "a consumer and no token left")


def test_a_worker_that_reaches_nobody_for_too_long_kills_its_attempts(
    wire: TcpProxy, bench: Bench, controller: Controller
) -> None:
    start_behind(wire, bench, OASIS_WORKER_SELF_FENCE="1.5", OASIS_WORKER_STOP_GRACE="60")
    pid_file = bench.flag("pid")
    grant, runs, _ = bench.waiting(orders={"deaf": True, "program": str(pid_file)})
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    program = psutil.Process(int(pid_file.read_text()))
    wire.blackhole()
    program.wait(10)
    wire.refuse()
    wire.forward()
    report = controller_hears_of(controller, grant.attempt_id)
    assert report.cause is Cause.LOST


def test_a_worker_whose_heartbeats_nobody_answers_kills_its_attempts_in_the_end(
    bench: Bench, controller: Controller
) -> None:
    controller.answers_beats = False
    bench.start(OASIS_WORKER_SELF_FENCE="2", OASIS_WORKER_STOP_GRACE="60")
    grant, _, _ = bench.waiting(orders={"deaf": True})
    controller.offer(grant)
    report = controller.report_of(grant)
    assert report.cause is Cause.LOST
    assert "OASIS_WORKER_SELF_FENCE" in (report.message or "")


def test_a_worker_whose_heartbeats_are_answered_goes_on(bench: Bench, controller: Controller) -> None:
    bench.start(OASIS_WORKER_SELF_FENCE="1.5")
    grant, runs, go_on = bench.waiting()
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    controller.beat_after(len(controller.beats) + 8)
    assert controller.reports_of(grant) == []
    go_on.touch()
    assert controller.report_of(grant).cause is None


def test_a_worker_that_was_stopped_for_long_does_not_take_that_for_silence() -> None:
    contact = Contact(beat_every=2.0)
    for now in (0.0, 2.0, 4.0):
        contact.beat(now)
    assert contact.silent_for == 4.0
    contact.heard()
    contact.beat(6.0)
    contact.beat(600.0)
    assert contact.silent_for == 8.0


def test_a_worker_that_had_nothing_to_do_for_long_keeps_what_it_is_given_then(
    bench: Bench, controller: Controller
) -> None:
    bench.start(OASIS_WORKER_SELF_FENCE="1.5")
    controller.beat_after(8)
    grant, runs, go_on = bench.waiting()
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    controller.beat_after(len(controller.beats) + 4)
    assert controller.reports_of(grant) == []
    go_on.touch()
    assert controller.report_of(grant).cause is None


def test_a_worker_that_is_cut_off_for_a_moment_keeps_its_attempts(
    wire: TcpProxy, bench: Bench, controller: Controller
) -> None:
    worker = start_behind(wire, bench)
    grant, runs, go_on = bench.waiting()
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    wire.refuse()
    wait_for(lambda: "A heartbeat was not taken" in worker.log(), "that it notices")
    wire.forward()
    assert [held.attempt_id for held in controller.next_beat().running] == [grant.attempt_id]
    go_on.touch()
    assert controller_hears_of(controller, grant.attempt_id).cause is None


@pytest.mark.parametrize("cut", ["refuse", "blackhole"])
def test_a_worker_that_is_cut_off_leaves_in_bounded_time(
    wire: TcpProxy, bench: Bench, controller: Controller, cut: str
) -> None:
    worker = start_behind(wire, bench, OASIS_WORKER_DRAIN_FOR="0.5")
    grant, runs, _ = bench.waiting(orders={"deaf": True})
    controller.offer(grant)
    wait_for(runs.exists, "the step")
    getattr(wire, cut)()
    assert terminate(worker, within=30) == 0
    assert "Leaving without an answer" in worker.log()


def test_a_claim_that_the_broker_lost_is_asked_again(wire: TcpProxy, bench: Bench, controller: Controller) -> None:
    controller.deaf_to = 1
    start_behind(wire, bench)
    grant = bench.grant({})
    controller.offer(grant)
    wait_for(lambda: controller.claims, "a claim")
    wire.drop_connections()
    assert controller_hears_of(controller, grant.attempt_id).cause is None
    assert len({claim.claim_id for claim in controller.claims[:2]}) == 1


def test_a_worker_that_finds_no_broker_says_so_and_ends(bench: Bench) -> None:
    worker = bench.start(OASIS_CELERY_BROKER_URL="amqp://guest:guest@127.0.0.1:1/", OASIS_WORKER_DRAIN_FOR="1")
    wait_for(lambda: "No connection to the broker" in worker.log(), "its complaint")
    worker.signal(signal.SIGTERM)
    assert worker.wait(5) != 0


def controller_hears_of(controller: Controller, attempt_id: UUID) -> AttemptFinished:
    """The report of an attempt, sent by itself or in a heartbeat."""

    def find() -> AttemptFinished | None:
        told = [*controller.reports, *(report for beat in controller.beats for report in beat.finished)]
        return next((report for report in told if report.attempt_id == attempt_id), None)

    return wait_for(find, "a report")
