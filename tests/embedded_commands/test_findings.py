"""What the doctor says of what it has seen: every finding, at and beyond its limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.embedded.doctor.examination import Diagnosis, judge
from services.embedded.doctor.facts import (
    BrokerFacts,
    DatabaseFacts,
    Execution,
    ExpiredLease,
    Facts,
    FileSystem,
    Finding,
    Limits,
    LiveWorker,
    OpenRun,
    ReadyQueue,
    Schema,
    Severity,
    Unreachable,
    UnsentMessages,
)
from shared import names
from shared.broker.port import QueueDepth
from shared.core.plan import RECORDER_QUEUE
from shared.core.states import RunState

NOW = datetime(2026, 7, 31, 12, tzinfo=UTC)
LIMITS = Limits()
SCHEMA = Schema("2", "2", is_known=True)
READ = {
    names.TASK_CONTROLLER_QUEUE: QueueDepth(0, 1),
    names.HEARTBEAT_QUEUE: QueueDepth(0, 1),
    names.MONITOR_QUEUE: QueueDepth(0, 1),
    names.PARKED_QUEUE: QueueDepth(0, 0),
}
GIB = 1 << 30
WORKER = LiveWorker("w1", "model", "host-1", 2, is_draining=False)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def of_execution(depths: dict[str, QueueDepth] | None = None, **facts: object) -> tuple[Finding, ...]:
    """The findings where only this is special."""
    execution = replace(Execution(NOW), **facts)
    return judge(Facts(DatabaseFacts(SCHEMA, 0.0, execution), BrokerFacts(READ | (depths or {}))), LIMITS)


def of_parts(**facts: object) -> tuple[Finding, ...]:
    return judge(replace(Facts(DatabaseFacts(SCHEMA, 0.0, Execution(NOW)), BrokerFacts(READ)), **facts), LIMITS)


def only(findings: tuple[Finding, ...]) -> Finding:
    (finding,) = findings
    return finding


def test_a_healthy_platform_has_no_findings() -> None:
    disk = FileSystem(("/data (objects)",), 500 * GIB, 1000 * GIB)
    ready = (ReadyQueue("model", 2, ago(3600)),)
    runs = (OpenRun(1, 1, RunState.ACTIVE, 2, ago(3600)),)
    execution = Execution(NOW, ready=ready, workers=(WORKER,), runs=runs)
    facts = Facts(DatabaseFacts(SCHEMA, 0.5, execution), BrokerFacts(READ), file_systems=(disk,))
    assert judge(facts, LIMITS) == ()
    assert Diagnosis(NOW, ()).is_healthy


@pytest.mark.parametrize("part", ["database", "broker", "object store", "API", "websocket server"])
def test_each_part_that_cannot_be_reached_is_named_with_its_reason_and_advice(part: str) -> None:
    failing = Unreachable(part, "there", "nobody answers.")
    given = {part: failing} if part in ("database", "broker") else {"unreachable": (failing,)}
    finding = only(of_parts(**given))
    assert finding.severity is Severity.ERROR
    assert finding.what == f"The {part} at there fails: nobody answers."
    assert finding.advice.endswith(".")


def test_with_nothing_reachable_nothing_else_is_claimed() -> None:
    parts = [Unreachable(part, "there", "gone") for part in ("database", "broker", "object store", "API")]
    findings = judge(Facts(parts[0], parts[1], (parts[2], parts[3])), LIMITS)
    assert [finding.what.split(" at ")[0] for finding in findings] == [f"The {part.part}" for part in parts]


@pytest.mark.parametrize(
    ("schema", "says", "advises"),
    [
        (Schema(None, "2", is_known=False), "no tables", "migrations"),
        (Schema("1", "2", is_known=True), "at revision 1, and the program at 2", "migrations"),
        (Schema("9", "2", is_known=False), "revision 9, which this program does not know", "version of Lossline"),
    ],
)
def test_another_schema_is_an_error(schema: Schema, says: str, advises: str) -> None:
    finding = only(of_parts(database=DatabaseFacts(schema)))
    assert finding.severity is Severity.ERROR
    assert says in finding.what
    assert "not looked at" in finding.what
    assert advises in finding.advice


@pytest.mark.parametrize(
    ("ahead", "says"), [(2.1, "2.1 s ahead of"), (-2.1, "2.1 s behind"), (2.0, None), (-2.0, None), (0.0, None)]
)
def test_clocks_that_differ_are_a_warning(ahead: float, says: str | None) -> None:
    findings = of_parts(database=DatabaseFacts(SCHEMA, ahead, Execution(NOW)))
    assert [says in finding.what for finding in findings if says] == ([True] if says else [])
    assert [finding.severity for finding in findings] == ([Severity.WARNING] if says else [])


@pytest.mark.parametrize(
    ("free", "total", "severity", "says"),
    [
        (GIB, 10 * GIB, None, ""),
        (GIB - 1, 10 * GIB, Severity.WARNING, "1.0 GiB (10%)"),
        (50 * GIB, 1000 * GIB, None, ""),
        (49 * GIB, 1000 * GIB, Severity.WARNING, "49.0 GiB (5%)"),
        (3 << 20, 10 * GIB, Severity.WARNING, "3 MiB (0%)"),
        (0, 10 * GIB, Severity.ERROR, "0 MiB (0%)"),
        (0, 0, Severity.ERROR, "0 MiB (0%)"),
    ],
)
def test_little_space_is_found_by_share_and_by_size(free: int, total: int, severity: Severity, says: str) -> None:
    findings = of_parts(file_systems=(FileSystem(("/a (objects)", "/b (logs)"), free, total),))
    assert [finding.severity for finding in findings] == ([severity] if severity else [])
    assert all(says in finding.what and "/a (objects), /b (logs)" in finding.what for finding in findings)


def test_a_broker_with_an_alarm_is_an_error() -> None:
    finding = only(of_parts(broker=BrokerFacts(READ, takes_messages=False)))
    assert (finding.severity, finding.what) == (Severity.ERROR, "The broker takes no messages.")
    assert "memory or disk alarm" in finding.advice


@pytest.mark.parametrize(
    ("unread", "says"),
    [
        ([names.TASK_CONTROLLER_QUEUE], "No task controller reads task-controller."),
        ([names.HEARTBEAT_QUEUE], "No task controller reads task-controller.heartbeats."),
        ([names.MONITOR_QUEUE], "No worker monitor reads worker-monitor."),
        (
            [names.TASK_CONTROLLER_QUEUE, names.HEARTBEAT_QUEUE],
            "No task controller reads task-controller and task-controller.heartbeats.",
        ),
    ],
)
@pytest.mark.parametrize("is_declared", [True, False])
def test_queues_of_services_that_nobody_reads_are_errors(unread: list[str], says: str, is_declared: bool) -> None:
    rest = {name: depth for name, depth in READ.items() if name not in unread}
    empty = dict.fromkeys(unread, QueueDepth(3, 0)) if is_declared else {}
    finding = only(of_parts(broker=BrokerFacts(rest | empty)))
    assert (finding.severity, finding.what) == (Severity.ERROR, says)


@pytest.mark.parametrize(
    ("number", "says"), [(1, "1 message is parked: nobody could read or handle it."), (3, "3 messages are parked")]
)
def test_parked_messages_are_a_warning(number: int, says: str) -> None:
    finding = only(of_execution({names.PARKED_QUEUE: QueueDepth(number, 0)}))
    assert finding.severity is Severity.WARNING
    assert says in finding.what
    assert "lossline parked list" in finding.advice


def test_a_backlog_of_the_outbox_is_an_error() -> None:
    finding = only(of_execution(unsent=UnsentMessages(12, ago(9))))
    assert (finding.severity, finding.since) == (Severity.ERROR, ago(9))
    assert "12 messages are in the outbox" in finding.what


@pytest.mark.parametrize(
    ("state", "moving", "limit", "says"),
    [
        (RunState.CANCELLING, 1, LIMITS.stopping_run, "is being cancelled"),
        (RunState.CANCELLING, 0, LIMITS.stopping_run, "is being cancelled"),
        (RunState.FAILING, 1, LIMITS.stopping_run, "has failed"),
        (RunState.FAILING, 0, LIMITS.stopping_run, "has failed"),
        (RunState.REQUESTED, 0, LIMITS.idle_run, "is not planned"),
        (RunState.ACTIVE, 0, LIMITS.idle_run, "none of its sub-tasks is queued or started"),
    ],
)
def test_runs_that_should_have_moved_are_errors(state: RunState, moving: int, limit: float, says: str) -> None:
    assert of_execution(runs=(OpenRun(7, 3, state, moving, ago(limit)),)) == ()
    finding = only(of_execution(runs=(OpenRun(7, 3, state, moving, ago(limit + 0.1)),)))
    assert (finding.severity, finding.since) == (Severity.ERROR, ago(limit + 0.1))
    assert finding.what.startswith("Run 7 of analysis 3 ")
    assert says in finding.what


@pytest.mark.parametrize("state", [state for state in RunState if state.endswith("ED") and state != "REQUESTED"])
def test_runs_that_have_ended_are_not_stuck(state: RunState) -> None:
    assert of_execution(runs=(OpenRun(7, 3, state, 0, ago(10_000)),)) == ()


def test_an_active_run_with_work_may_take_its_time() -> None:
    assert of_execution(runs=(OpenRun(7, 3, RunState.ACTIVE, 1, ago(100_000)),)) == ()


@pytest.mark.parametrize(("seconds", "severity"), [(30, Severity.WARNING), (30.1, Severity.ERROR)])
def test_work_without_a_worker_is_worse_when_it_lasts(seconds: float, severity: Severity) -> None:
    queue = ReadyQueue("model", 3, ago(seconds))
    finding = only(of_execution({"model": QueueDepth(3, 0)}, ready=(queue,)))
    assert (finding.severity, finding.since) == (severity, ago(seconds))
    assert finding.what == "Queue model has 3 ready sub-tasks, and no worker serves it."
    assert "Start a worker" in finding.advice


def test_why_no_worker_serves_is_what_its_controller_says() -> None:
    queue = ReadyQueue("model", 3, ago(1), "it is not in the file of models")
    finding = only(of_execution({"model": QueueDepth(3, 0)}, ready=(queue,)))
    assert finding.advice == "The worker controller says: it is not in the file of models."


def test_a_worker_of_another_queue_does_not_serve() -> None:
    other = replace(WORKER, queue="other")
    findings = of_execution({"model": QueueDepth(1, 0)}, ready=(ReadyQueue("model", 1, ago(1)),), workers=(other,))
    assert "no worker serves it" in only(findings).what


def test_the_queue_of_the_recorder_is_the_worker_monitors() -> None:
    queue = ReadyQueue(RECORDER_QUEUE, 1, ago(1))
    finding = only(of_execution({RECORDER_QUEUE: QueueDepth(1, 0)}, ready=(queue,)))
    assert finding.advice == "Start the worker monitor, or look into its log."


def test_workers_that_all_drain_do_not_serve_and_are_noted() -> None:
    draining = replace(WORKER, is_draining=True)
    findings = of_execution({"model": QueueDepth(1, 0)}, ready=(ReadyQueue("model", 1, ago(1)),), workers=(draining,))
    assert [finding.severity for finding in findings] == [Severity.WARNING, Severity.NOTE]
    assert "its workers are all draining" in findings[0].what
    assert findings[1].what == "Worker w1 on host-1 is draining: it takes no more work of model."


def test_one_worker_that_does_not_drain_is_enough() -> None:
    workers = (replace(WORKER, is_draining=True), replace(WORKER, worker_id="w2"))
    findings = of_execution({"model": QueueDepth(1, 0)}, ready=(ReadyQueue("model", 1, ago(1)),), workers=workers)
    assert only(findings).severity is Severity.NOTE
    assert Diagnosis(NOW, findings).is_healthy


@pytest.mark.parametrize(("seconds", "severity"), [(30, Severity.WARNING), (30.1, Severity.ERROR)])
def test_an_expired_lease_is_worse_when_the_reaper_leaves_it(seconds: float, severity: Severity) -> None:
    finding = only(of_execution(leases=(ExpiredLease("w9", "losses-2", 5, ago(seconds)),)))
    assert (finding.severity, finding.since) == (severity, ago(seconds))
    assert finding.what == "Worker w9 holds 1 attempt with expired leases (losses-2 of analysis 5)."
    assert ("by now" in finding.advice) == (severity is Severity.ERROR)


def test_the_leases_of_a_worker_are_one_finding_since_the_first() -> None:
    leases = [ExpiredLease("w9", f"losses-{chunk}", 5, ago(10 + chunk)) for chunk in range(5)]
    other = ExpiredLease("w8", "losses-9", 6, ago(1))
    first, second = of_execution(leases=(*leases, other))
    assert first.what == (
        "Worker w9 holds 5 attempts with expired leases "
        "(losses-0 of analysis 5, losses-1 of analysis 5, losses-2 of analysis 5 and 2 more)."
    )
    assert first.since == ago(14)
    assert "Worker w8 holds 1 attempt" in second.what


@pytest.mark.parametrize(
    ("tokens", "seconds", "found"),
    [
        (3, 16, True),  # 3 tokens and 2 slots for 6 sub-tasks
        (4, 16, False),  # the slots may hold the two that are missing
        (3, 15, False),  # the reconciler needs two looks
        (0, 16, True),
    ],
)
def test_queues_short_of_tokens_are_a_warning_when_it_lasts(tokens: int, seconds: float, found: bool) -> None:
    ready = (ReadyQueue("model", 6, ago(seconds)),)
    findings = of_execution({"model": QueueDepth(tokens, 1)}, ready=ready, workers=(WORKER,))
    assert [finding.severity for finding in findings] == ([Severity.WARNING] if found else [])
    assert all(f"{tokens} tokens for 6 ready sub-tasks" in finding.what for finding in findings)


def test_a_queue_that_is_gone_has_no_tokens() -> None:
    findings = of_execution(ready=(ReadyQueue("model", 6, ago(16)),), workers=(WORKER,))
    assert "0 tokens for 6 ready sub-tasks" in only(findings).what


def test_without_a_broker_nothing_is_said_of_tokens() -> None:
    execution = Execution(NOW, ready=(ReadyQueue("model", 6, ago(16)),), workers=(WORKER,))
    facts = Facts(DatabaseFacts(SCHEMA, 0.0, execution), Unreachable("broker", "there", "gone"))
    assert "The broker at there fails: gone." in only(judge(facts, LIMITS)).what


def test_the_worst_comes_first() -> None:
    draining = replace(WORKER, is_draining=True)
    findings = of_execution(
        {names.PARKED_QUEUE: QueueDepth(1, 0)}, workers=(draining,), unsent=UnsentMessages(1, ago(9))
    )
    assert [finding.severity for finding in findings] == [Severity.ERROR, Severity.WARNING, Severity.NOTE]
    assert not Diagnosis(NOW, findings).is_healthy


def test_every_finding_is_sentences() -> None:
    leases = (ExpiredLease("w9", "losses-2", 5, ago(99)),)
    runs = tuple(OpenRun(7, 3, state, 0, ago(99)) for state in RunState)
    ready = (ReadyQueue("model", 3, ago(99)),)
    execution = Execution(NOW, leases, ready, (replace(WORKER, is_draining=True),), UnsentMessages(1, ago(9)), runs)
    disk = FileSystem(("/a (objects)",), 0, 10)
    facts = Facts(DatabaseFacts(SCHEMA, 9.0, execution), BrokerFacts({}, takes_messages=False), (), (disk,))
    findings = judge(facts, LIMITS)
    assert len(findings) == 14
    for finding in findings:
        assert not finding.what[0].islower()
        assert finding.what.endswith(".")
        assert finding.advice.endswith(".")
