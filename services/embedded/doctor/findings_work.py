"""Findings about the work: leases, queues, workers, runs, outbox. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

from services.embedded.doctor.facts import (
    BrokerFacts,
    DatabaseFacts,
    Execution,
    ExpiredLease,
    Facts,
    Finding,
    Limits,
    LiveWorker,
    OpenRun,
    Severity,
)
from services.embedded.presentation.formats import count
from shared import names
from shared.broker.port import QueueDepth
from shared.core.plan import RECORDER_QUEUE
from shared.core.states import RunState
from shared.names import INTERNAL_QUEUE

_READERS = {
    "task controller": (names.TASK_CONTROLLER_QUEUE, names.HEARTBEAT_QUEUE),
    "worker monitor": (names.MONITOR_QUEUE,),
}
_NO_QUEUE = QueueDepth(0, 0)


def work_findings(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Of what could be seen: without a database nothing about leases, without a broker nothing about tokens."""
    execution = facts.database.execution if isinstance(facts.database, DatabaseFacts) else None
    broker = facts.broker if isinstance(facts.broker, BrokerFacts) else None
    if broker is not None:
        yield from broker_findings(broker)
    if execution is not None:
        yield from outbox_findings(execution)
        yield from run_findings(execution, limits)
        yield from queue_findings(execution, limits)
        yield from lease_findings(execution, limits)
        if broker is not None:
            yield from token_findings(execution, broker, limits)
        yield from worker_findings(execution.workers)


def broker_findings(broker: BrokerFacts) -> Iterator[Finding]:
    """An alarm of the broker, queues that nobody reads, and what is parked."""
    if not broker.takes_messages:
        advice = "It has a memory or disk alarm: free memory or disk space on its machine, and see its log."
        yield Finding(Severity.ERROR, "The broker takes no messages.", None, advice)
    for service, queues in _READERS.items():
        unread = [queue for queue in queues if not broker.depths.get(queue, _NO_QUEUE).consumers]
        if unread:
            what = f"No {service} reads {' and '.join(unread)}."
            yield Finding(Severity.ERROR, what, None, f"Start the {service}, or look into its log.")
    parked = broker.depths.get(names.PARKED_QUEUE, _NO_QUEUE).messages
    if parked:
        what = f"{_are(parked, 'message')} parked: nobody could read or handle {'it' if parked == 1 else 'them'}."
        advice = "`lossline parked list` says why; replay them when the cause is gone, or drop them."
        yield Finding(Severity.WARNING, what, None, advice)


def outbox_findings(execution: Execution) -> Iterator[Finding]:
    """Messages that were committed and are not published."""
    unsent = execution.unsent
    if unsent is not None:
        what = f"{_are(unsent.rows, 'message')} in the outbox, due and not published."
        advice = "The task controller publishes them: see that it runs and reaches the broker."
        yield Finding(Severity.ERROR, what, unsent.since, advice)


def run_findings(execution: Execution, limits: Limits) -> Iterator[Finding]:
    """Runs that should have moved."""
    for run in execution.runs:
        stuck = _stuck(run, _age(execution.now, run.since), limits)
        if stuck is not None:
            what, advice = stuck
            yield Finding(Severity.ERROR, f"Run {run.run_id} of {_owner(run)} {what}", run.since, advice)


def _owner(of: OpenRun | ExpiredLease) -> str:
    return f"portfolio {of.portfolio_id}" if of.analysis_id is None else f"analysis {of.analysis_id}"


def queue_findings(execution: Execution, limits: Limits) -> Iterator[Finding]:
    """Queues with work that nobody takes."""
    for queue in execution.ready:
        workers = [worker for worker in execution.workers if worker.queue == queue.name]
        if any(not worker.is_draining for worker in workers):
            continue
        late = _age(execution.now, queue.since) > limits.unserved_queue
        severity = Severity.ERROR if late else Severity.WARNING
        why = "and its workers are all draining" if workers else "and no worker serves it"
        what = f"Queue {queue.name} has {count(queue.sub_tasks, 'ready sub-task')}, {why}."
        advice = f"The worker controller says: {queue.unserved}." if queue.unserved else _serve(queue.name)
        yield Finding(severity, what, queue.since, advice)


def lease_findings(execution: Execution, limits: Limits) -> Iterator[Finding]:
    """Workers that hold attempts and are not heard of."""
    by_worker: dict[str, list[ExpiredLease]] = defaultdict(list)
    for lease in execution.leases:
        by_worker[lease.worker_id].append(lease)
    for worker_id, leases in by_worker.items():
        since = min(lease.lease_until for lease in leases)
        ignored = _age(execution.now, since) > limits.unheard_lease
        held = ", ".join(f"{lease.sub_task} of {_owner(lease)}" for lease in leases[:3])
        more = f" and {len(leases) - 3} more" if len(leases) > 3 else ""
        what = f"Worker {worker_id} holds {count(len(leases), 'attempt')} with expired leases ({held}{more})."
        controller = "The task controller should have given them up by now: see that it runs and reads heartbeats."
        worker = "Its machine or its way to the broker has failed; the task controller gives the attempts up soon."
        severity = Severity.ERROR if ignored else Severity.WARNING
        yield Finding(severity, what, since, controller if ignored else worker)


def token_findings(execution: Execution, broker: BrokerFacts, limits: Limits) -> Iterator[Finding]:
    """Queues with fewer tokens than work. Each slot of a worker may hold one more for a moment, while it claims."""
    for queue in execution.ready:
        tokens = broker.depths.get(queue.name, _NO_QUEUE).messages
        held = sum(worker.slots for worker in execution.workers if worker.queue == queue.name)
        if tokens + held >= queue.sub_tasks or _age(execution.now, queue.since) <= limits.short_of_tokens:
            continue
        what = f"Queue {queue.name} has {count(tokens, 'token')} for {count(queue.sub_tasks, 'ready sub-task')}."
        advice = "The task controller tops queues up every few seconds: see that it runs and reaches the broker."
        yield Finding(Severity.WARNING, what, queue.since, advice)


def worker_findings(workers: Iterable[LiveWorker]) -> Iterator[Finding]:
    """Workers that take no more work."""
    for worker in workers:
        if worker.is_draining:
            what = f"Worker {worker.worker_id} on {worker.host} is draining: it takes no more work of {worker.queue}."
            yield Finding(Severity.NOTE, what, None, "Nothing, if it was told to; it ends when its attempts have.")


def _stuck(run: OpenRun, age: float, limits: Limits) -> tuple[str, str] | None:
    """What is wrong with a run that was last heard of `age` seconds ago, and what to do; None for nothing."""
    match run.state:
        case RunState.CANCELLING if age > limits.stopping_run:
            return "is being cancelled, and has attempts that have not ended.", _STOPPING
        case RunState.FAILING if age > limits.stopping_run:
            return "has failed, and has attempts that have not ended.", _STOPPING
        case RunState.REQUESTED if age > limits.idle_run:
            return "was requested and is not planned.", _CONTROLLER
        case RunState.ACTIVE if age > limits.idle_run and not run.moving:
            return "is active, and none of its sub-tasks is queued or started.", _CONTROLLER
        case _:
            return None


_STOPPING = "See that its workers reach the broker: they confirm when the processes are gone."
_CONTROLLER = "The task controller looks at such runs every few seconds: see that it runs, and look into its log."


def _serve(queue: str) -> str:
    if queue == RECORDER_QUEUE:
        return "Start the worker monitor, or look into its log."
    if queue == INTERNAL_QUEUE:
        return "Start a model worker with OASIS_RUN_MODE=server-internal, which needs no model, or look into its log."
    return f"Start a worker of the model, for example `lossline up --model DIR`; its queue must be {queue}."


def _are(number: int, noun: str) -> str:
    return f"{count(number, noun)} {'is' if number == 1 else 'are'}"


def _age(now: datetime, since: datetime) -> float:
    return (now - since).total_seconds()
