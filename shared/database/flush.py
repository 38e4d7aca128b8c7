"""What a transaction has changed, written with a fixed number of statements however many events there were."""

from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Integer, Update, bindparam, func, insert, update

from shared.core.facts import RunFacts
from shared.core.states import AnalysisStatus, ExposureStatus, RunState, SubTaskState
from shared.database.execution import Attempt, Run, StageRow, SubTask
from shared.database.outbox import Posting
from shared.database.resources import Analysis, Portfolio
from shared.messages.catalogue import Token

_ENDED_RUNS = frozenset({RunState.COMPLETED, RunState.CANCELLED, RunState.FAILED})
_EVENTS = frozenset({"events_total", "events_complete"})
_STARTED = frozenset({AnalysisStatus.INPUTS_GENERATION_STARTED, AnalysisStatus.RUN_STARTED})


# Statements are made once: to make one costs more processor time than to execute it.
_OF_STAGE = (StageRow.run_id == bindparam("b_run")) & (StageRow.position == bindparam("b_at"))
_UPDATE_STAGE = (
    update(StageRow)
    .where(_OF_STAGE)
    .values({state.lower(): bindparam(f"b_{state.lower()}", type_=Integer) for state in SubTaskState})
)
_KEEP_ARTIFACTS = (
    update(StageRow)
    .where(_OF_STAGE)
    .values(artifacts=bindparam("b_artifacts", type_=StageRow.__table__.c.artifacts.type))
)
_QUEUE_STAGE = (
    update(SubTask)
    .where(
        SubTask.run_id == bindparam("b_run"),
        SubTask.stage == bindparam("b_stage"),
        SubTask.state == SubTaskState.PENDING,
    )
    .values(state=SubTaskState.QUEUED, queue_time=bindparam("b_now", type_=SubTask.__table__.c.queue_time.type))
)
_INSERT_ATTEMPT = insert(Attempt)
_RENEW_LEASE = (
    update(Attempt)
    .where(Attempt.attempt_id == bindparam("b_attempt_id"))
    .values(
        renewals=Attempt.renewals + 1,
        lease_until=bindparam("b_lease_until", type_=Attempt.__table__.c.lease_until.type),
    )
)


@cache
def _update_sub_task(columns: tuple[str, ...]) -> Update:
    assigned: dict[str, Any] = {name: bindparam(f"b_{name}", type_=SubTask.__table__.c[name].type) for name in columns}
    for name in _EVENTS & set(columns):
        # Progress never goes backwards, whichever attempt it is of.
        assigned[name] = func.greatest(SubTask.__table__.c[name], assigned[name])
    assigned["retry_count"] = SubTask.retry_count + bindparam("b_retried")
    return update(SubTask).where(SubTask.id == bindparam("b_id")).values(**assigned)


@cache
def _update_attempt(columns: tuple[str, ...]) -> Update:
    assigned = {name: bindparam(f"b_{name}", type_=Attempt.__table__.c[name].type) for name in columns}
    return update(Attempt).where(Attempt.attempt_id == bindparam("b_attempt_id")).values(**assigned)


@dataclass
class Flush:
    """Changed rows by table."""

    stages: set[tuple[int, int]] = field(default_factory=set)
    artifacts: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    sub_tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    attempts: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    new_attempts: list[dict[str, Any]] = field(default_factory=list)
    leases: dict[UUID, datetime] = field(default_factory=dict)
    queued_stages: list[tuple[int, int]] = field(default_factory=list)
    cancelled_runs: list[int] = field(default_factory=list)
    moved_runs: set[int] = field(default_factory=set)
    analyses: dict[int, tuple[int, AnalysisStatus]] = field(default_factory=dict)
    portfolios: dict[int, dict[str, ExposureStatus]] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether no row has changed. Messages do not count."""
        return not any(getattr(self, each.name) for each in fields(self) if each.name != "postings")

    def sub_task(self, sub_task_id: int) -> dict[str, Any]:
        """The changed columns of a sub-task."""
        return self.sub_tasks.setdefault(sub_task_id, {})

    def portfolio(self, portfolio_id: int) -> dict[str, ExposureStatus]:
        """The changed statuses of a portfolio."""
        return self.portfolios.setdefault(portfolio_id, {})

    def attempt(self, attempt_id: UUID) -> dict[str, Any]:
        """The changed columns of an attempt."""
        return self.attempts.setdefault(attempt_id, {})

    def queues_made_ready(self) -> set[str]:
        """The queues on which this transaction has made work ready: those that get tokens at once."""
        return {posting.routing_key for posting in self.postings if _wakes(posting)}

    def take_back_token(self, queue: str) -> bool:
        """Post one token less, if one is to be posted to the queue at once. Returns whether there was one."""
        for at, posting in enumerate(self.postings):
            if posting.routing_key == queue and _wakes(posting):
                fewer = [replace(posting, copies=posting.copies - 1)] if posting.copies > 1 else []
                self.postings[at : at + 1] = fewer
                return True
        return False

    def write(self, connection: Connection, runs: dict[int, RunFacts], now: datetime) -> None:
        """Write all rows but those of the outbox, in the lock order. `now`: the time of the transaction."""
        self._write_analyses(connection, now)
        self._write_portfolios(connection, now)
        self._write_runs(connection, runs, now)
        self._write_stages(connection, runs)
        self._write_sub_tasks(connection)
        self._write_waiting(connection, now)
        self._write_attempts(connection)

    def _write_analyses(self, connection: Connection, now: datetime) -> None:
        for analysis_id, (run_id, status) in sorted(self.analyses.items()):
            values: dict[str, Any] = {"status": status, "modified": now}
            if status in _STARTED:
                values |= {"task_started": now, "task_finished": None}
            else:
                values["task_finished"] = now
                losses = status.startswith("RUN")
                values["losses_traceback_run_id" if losses else "inputs_traceback_run_id"] = run_id
            current = (Analysis.id == analysis_id) & (Analysis.current_run_id == run_id)
            connection.execute(update(Analysis).where(current).values(**values))

    def _write_portfolios(self, connection: Connection, now: datetime) -> None:
        for portfolio_id, statuses in sorted(self.portfolios.items()):
            values: dict[str, Any] = {**statuses, "modified": now}
            connection.execute(update(Portfolio).where(Portfolio.id == portfolio_id).values(**values))

    def _write_runs(self, connection: Connection, runs: dict[int, RunFacts], now: datetime) -> None:
        for run_id in sorted(self.moved_runs):
            state = runs[run_id].state
            ended = now if state in _ENDED_RUNS else None
            connection.execute(update(Run).where(Run.id == run_id).values(state=state, ended_at=ended))

    def _write_stages(self, connection: Connection, runs: dict[int, RunFacts]) -> None:
        counters = [state.lower() for state in SubTaskState]
        rows = []
        for run_id, position in sorted(self.stages):
            stage = runs[run_id].stages[position]
            rows.append({"b_run": run_id, "b_at": position, **{f"b_{name}": getattr(stage, name) for name in counters}})
        if rows:
            connection.execute(_UPDATE_STAGE, rows)
        for (run_id, position), artifacts in sorted(self.artifacts.items(), key=lambda item: item[0]):
            connection.execute(_KEEP_ARTIFACTS, {"b_run": run_id, "b_at": position, "b_artifacts": artifacts})

    def _write_sub_tasks(self, connection: Connection) -> None:
        by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for sub_task_id, changed in sorted(self.sub_tasks.items()):
            values = dict(changed)
            retried = int(values.pop("retried", False))
            row = {"b_id": sub_task_id, "b_retried": retried}
            by_columns.setdefault(tuple(sorted(values)), []).append(row | {f"b_{key}": values[key] for key in values})
        for columns, rows in by_columns.items():
            connection.execute(_update_sub_task(columns), rows)

    def _write_waiting(self, connection: Connection, now: datetime) -> None:
        for run_id, stage in self.queued_stages:
            connection.execute(_QUEUE_STAGE, {"b_run": run_id, "b_stage": stage, "b_now": now})
        for run_id in self.cancelled_runs:
            waits = SubTask.state.in_([SubTaskState.PENDING, SubTaskState.QUEUED])
            values: dict[str, Any] = {"state": SubTaskState.CANCELLED, "end_time": now}
            connection.execute(update(SubTask).where((SubTask.run_id == run_id) & waits).values(**values))

    def _write_attempts(self, connection: Connection) -> None:
        by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for attempt_id, values in sorted(self.attempts.items()):
            row = {"b_attempt_id": attempt_id, **{f"b_{key}": value for key, value in values.items()}}
            by_columns.setdefault(tuple(sorted(values)), []).append(row)
        for columns, rows in by_columns.items():
            connection.execute(_update_attempt(columns), rows)
        renewed = [{"b_attempt_id": each, "b_lease_until": until} for each, until in sorted(self.leases.items())]
        if renewed:
            connection.execute(_RENEW_LEASE, renewed)
        if self.new_attempts:
            connection.execute(_INSERT_ATTEMPT, self.new_attempts)


def _wakes(posting: Posting) -> bool:
    return isinstance(posting.message, Token) and posting.not_before is None
