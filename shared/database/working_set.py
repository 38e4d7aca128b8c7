"""The runs that one transaction has locked: facts in memory, decisions on them, and one flush of all that changed.

Lock order: analysis, run, sub-task, attempt, outbox. Every event of a run goes through here, so that two of them can
never look at the same counters at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, BindParameter, Connection, Uuid, any_, bindparam, func, select

from shared import names
from shared.core.decide import decide
from shared.core.evolve import evolve
from shared.core.facts import (
    AnalysisMoved,
    AttemptFacts,
    AttemptMoved,
    Change,
    Decision,
    Event,
    Facts,
    Instruction,
    PortfolioMoved,
    PublishTokens,
    RunFacts,
    RunMoved,
    StageFacts,
    StageQueued,
    StopAttempts,
    SubTaskFacts,
    SubTaskMoved,
    WaitingCancelled,
)
from shared.core.plan import Phase, SlotWeight
from shared.core.retries import UNCOUNTED, Cause, RetryPolicy
from shared.core.states import (
    ANALYSIS,
    EXPOSURE,
    AnalysisStatus,
    AttemptState,
    ExposureEvent,
    ExposureStatus,
    RunState,
    SubTaskState,
    allows,
    move,
)
from shared.database.execution import Attempt, Run, StageRow, SubTask
from shared.database.flush import Flush
from shared.database.outbox import Posting, post
from shared.database.pipelining import sent_together
from shared.database.portfolio_runs import LOCK_RUNS as _PORTFOLIO_RUNS
from shared.database.portfolio_runs import statuses_of
from shared.database.resources import Analysis
from shared.messages.catalogue import StopRun, Token

# Statements are made once: to make one costs more than to execute it. Arrays, not lists: the text stays the same.
_IDS: BindParameter[Any] = bindparam("ids", type_=ARRAY(BigInteger))
_UUIDS: BindParameter[Any] = bindparam("ids", type_=ARRAY(Uuid))
_RUNS = (
    select(
        Run.__table__,
        Analysis.status.label("analysis_status"),
        (Analysis.current_run_id == Run.id).label("is_current"),
        func.now().label("now"),
    )
    .join(Analysis, Analysis.id == Run.analysis_id)
    .where(Run.id == any_(_IDS))
    .order_by(Analysis.id, Run.id)
    .with_for_update(key_share=True, of=[Analysis, Run])
)
_STAGES = select(StageRow.__table__).where(StageRow.run_id == any_(_IDS)).order_by(StageRow.position)
_SUB_TASKS = select(
    SubTask.run_id,
    SubTask.ended,
    SubTask.id,
    SubTask.stage,
    SubTask.state,
    SubTask.attempt_id,
    SubTask.fence,
    SubTask.weight,
    SubTask.slug,
    SubTask.chunk,
).where(SubTask.id == any_(_IDS))
_ATTEMPTS = select(Attempt.attempt_id, Attempt.state).where(Attempt.attempt_id == any_(_UUIDS))
_NOW = select(func.now())
_COUNTERS = tuple(state.lower() for state in SubTaskState)
"""Columns of a stage."""


@dataclass
class LockedRun:
    """A run under lock, with the analysis whose current run it may be."""

    facts: RunFacts
    row: Mapping[str, Any]
    analysis_status: AnalysisStatus | None
    is_current: bool
    """Whether what clients read belongs to this run: the status of its analysis, or a status of its portfolio."""
    artifacts: dict[int, Mapping[str, Any]]
    """By position, what the accepted attempts of its serial stages have left."""
    statuses: dict[str, ExposureStatus] = field(default_factory=dict)
    """Of its portfolio: the statuses that belong to this run, by column."""


@dataclass(frozen=True)
class SubTaskName:
    """What never changes of a sub-task."""

    run_id: int
    slug: str
    chunk: int


@dataclass
class WorkingSet:
    """All that one transaction knows and has changed. Call `flush` before it commits."""

    connection: Connection
    policy: RetryPolicy
    runs: dict[int, LockedRun] = field(default_factory=dict)
    sub_tasks: dict[int, SubTaskFacts] = field(default_factory=dict)
    attempts: dict[UUID, AttemptFacts] = field(default_factory=dict)
    names: dict[int, SubTaskName] = field(default_factory=dict)
    retried: list[Cause] = field(default_factory=list)
    """Of what attempts have ended whose sub-tasks are tried again."""
    _flush: Flush = field(default_factory=Flush)
    _now: datetime | None = None

    @property
    def now(self) -> datetime:
        """The time of the transaction."""
        if self._now is None:
            self._now = self.connection.execute(_NOW).scalar_one()
        return self._now

    def lock(self, run_ids: Iterable[int]) -> None:
        """Lock each run after its analysis, in ascending order of analyses, then those of portfolios; load the stages.

        Unknown ids are left out.
        """
        wanted = sorted(set(run_ids) - self.runs.keys())
        if not wanted:
            return
        rows = [row._asdict() for row in self.connection.execute(_RUNS, {"ids": wanted})]
        others = sorted(set(wanted) - {row["id"] for row in rows})
        if others:
            rows += [row._asdict() for row in self.connection.execute(_PORTFOLIO_RUNS, {"ids": others})]
        stages = self._stages(wanted)  # a statement of its own: one that had waited for the lock would read old rows
        for row in rows:
            of_run = stages.get(row["id"], [])
            self._now = row["now"]
            self.runs[row["id"]] = _locked_run(row, of_run)

    def load(self, sub_task_ids: Iterable[int], attempt_ids: Iterable[UUID] = ()) -> None:
        """Load sub-tasks and attempts of locked runs."""
        wanted = sorted(set(sub_task_ids) - self.sub_tasks.keys())
        if wanted:
            for row in self.connection.execute(_SUB_TASKS, {"ids": wanted}):
                self.sub_tasks[row.id] = _sub_task_facts(row)
                self.names[row.id] = SubTaskName(row.run_id, row.slug, row.chunk)
        others = sorted(set(attempt_ids) - self.attempts.keys())
        if others:
            for each in self.connection.execute(_ATTEMPTS, {"ids": others}):
                self.attempts[each.attempt_id] = AttemptFacts(each.attempt_id, AttemptState(each.state))

    def decide(
        self,
        run_id: int,
        event: Event,
        sub_task_id: int | None = None,
        attempt_id: UUID | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Decision:
        """Decide on the event and note what follows. `details` go into the attempt's row (shape: its columns)."""
        run = self.runs[run_id]
        sub_task = self.sub_tasks.get(sub_task_id) if sub_task_id is not None else None
        attempt = self.attempts.get(attempt_id) if attempt_id is not None else None
        facts = Facts(run.facts, sub_task, attempt)
        decision = decide(facts, event, self.policy)
        after = evolve(facts, decision.changes)
        run.facts = after.run
        if after.sub_task is not None:
            self.sub_tasks[after.sub_task.sub_task_id] = after.sub_task
        if after.attempt is not None:
            self.attempts[after.attempt.attempt_id] = after.attempt
        for change in decision.changes:
            self._note(run, facts, change, details or {})
        for instruction in decision.instructions:
            self._instruct(run.facts, instruction)
        return decision

    def keep_artifacts(self, run_id: int, sub_task_id: int, artifacts: Mapping[str, Any]) -> None:
        """Make an accepted result visible: to clients of the chunk list, and to the later stages if it is serial."""
        self._flush.sub_tasks[sub_task_id]["artifacts"] = dict(artifacts)
        run = self.runs[run_id]
        stage = run.facts.stages[self.sub_tasks[sub_task_id].stage]
        if not stage.parallel:
            run.artifacts[stage.position] = artifacts
            self._flush.artifacts[run_id, stage.position] = dict(artifacts)

    def keep_progress(self, sub_task_id: int, total: int, complete: int) -> None:
        """Note the events of an accepted result; those of an earlier attempt that was further stay."""
        if total or complete:
            self._flush.sub_tasks[sub_task_id] |= {"events_total": total, "events_complete": complete}

    def add_stages(self, run_id: int, stages: tuple[StageFacts, ...]) -> None:
        """Give a planned run its stages (their rows have been written)."""
        run = self.runs[run_id]
        run.facts = replace(run.facts, stages=stages)

    def set_priority(self, run_id: int, priority: int) -> None:
        """Note the priority that a run has been given (its row has been written)."""
        run = self.runs[run_id]
        run.facts = replace(run.facts, priority=priority)

    def post(self, posting: Posting) -> None:
        """Add a message to the outbox of this transaction."""
        self._flush.postings.append(posting)

    def insert_attempt(self, values: dict[str, Any]) -> None:
        """Add an attempt's row."""
        self._flush.new_attempts.append(values)

    def renew_lease(self, attempt_id: UUID, lease: float) -> None:
        """Let the lease of an attempt begin anew, for whoever watches its renewals. `lease` in seconds."""
        self._flush.leases[attempt_id] = self.now + timedelta(seconds=lease)

    @property
    def queues_made_ready(self) -> set[str]:
        """The queues on which this transaction has made work ready so far."""
        return self._flush.queues_made_ready()

    def take_back_token(self, queue: str) -> bool:
        """Post one token less to the queue, if this transaction posts one at once. Returns whether it did."""
        return self._flush.take_back_token(queue)

    def flush_rows(self) -> None:
        """Write the rows that have changed so far, so that queries see them. The messages wait for `flush`."""
        before = self._flush
        if not before.is_empty:
            now = self.now
            with sent_together(self.connection):
                before.write(self.connection, {run_id: run.facts for run_id, run in self.runs.items()}, now)
        self._flush = Flush(postings=before.postings)

    def flush(self) -> None:
        """Write all that has changed, and the messages that it causes."""
        self.flush_rows()
        if self._flush.postings:
            with sent_together(self.connection):
                post(self.connection, self._flush.postings)
        self._flush.postings.clear()

    def _stages(self, run_ids: list[int]) -> dict[int, list[Mapping[str, Any]]]:
        found: dict[int, list[Mapping[str, Any]]] = {}
        for row in self.connection.execute(_STAGES, {"ids": run_ids}):
            found.setdefault(row.run_id, []).append(row._asdict())
        return found

    def _note(self, run: LockedRun, before: Facts, change: Change, details: Mapping[str, Any]) -> None:
        flush, run_id = self._flush, run.facts.run_id
        match change:
            case SubTaskMoved() if before.sub_task is not None:
                flush.sub_task(before.sub_task.sub_task_id).update(self._sub_task_values(before.sub_task, change))
                flush.stages.add((run_id, before.sub_task.stage))
                if change.after == SubTaskState.QUEUED and change.ended_by is not None:
                    self.retried.append(change.ended_by)
            case AttemptMoved() if before.attempt is not None:
                ended = {"state": change.after, "ended_at": self.now, **details}
                flush.attempt(before.attempt.attempt_id).update(ended)
            case StageQueued():
                self._waiting_moved(run_id, SubTaskState.QUEUED, (SubTaskState.PENDING,), change.stage)
                flush.queued_stages.append((run_id, change.stage))
                flush.stages.add((run_id, change.stage))
            case WaitingCancelled():
                self._waiting_moved(run_id, SubTaskState.CANCELLED, (SubTaskState.PENDING, SubTaskState.QUEUED))
                flush.cancelled_runs.append(run_id)
                flush.stages.update((run_id, stage.position) for stage in run.facts.stages)
            case RunMoved():
                flush.moved_runs.add(run_id)
            case AnalysisMoved():
                self._move_analysis(run, change)
            case PortfolioMoved():
                self.move_portfolio(run_id, change.event, tuple(run.statuses))

    def _sub_task_values(self, before: SubTaskFacts, change: SubTaskMoved) -> dict[str, Any]:
        after = self.sub_tasks[before.sub_task_id]
        values: dict[str, Any] = {"state": change.after, "weight": after.weight, "ended": dict(after.ended)}
        match change.after:
            case SubTaskState.STARTED:
                values |= {"attempt_id": change.attempt_id, "fence": after.fence}
                values |= {"start_time": self.now, "not_before": None}
            case SubTaskState.QUEUED:
                values |= {"queue_time": self.now, "not_before": self.now + timedelta(seconds=change.delay)}
                values["retried"] = change.ended_by is not None and change.ended_by not in UNCOUNTED
            case _:
                values["end_time"] = self.now
        return values

    def _waiting_moved(
        self, run_id: int, after: SubTaskState, states: tuple[SubTaskState, ...], stage: int | None = None
    ) -> None:
        """Keep the sub-tasks in memory in step with what one statement will do to all of them."""
        for sub_task_id, sub_task in self.sub_tasks.items():
            mine = self.names[sub_task_id].run_id == run_id and stage in (None, sub_task.stage)
            if mine and sub_task.state in states:
                self.sub_tasks[sub_task_id] = replace(sub_task, state=after)

    def move_portfolio(self, run_id: int, event: ExposureEvent, columns: Iterable[str]) -> None:
        """Move statuses of the run's portfolio: those that belong to the run, where the table allows it."""
        run = self.runs[run_id]
        for column in columns:
            status = run.statuses.get(column)
            if status is not None and allows(EXPOSURE, status, event):
                run.statuses[column] = move(EXPOSURE, status, event)
                self._flush.portfolio(run.facts.owner_id)[column] = run.statuses[column]

    def _move_analysis(self, run: LockedRun, change: AnalysisMoved) -> None:
        status, analysis_id = run.analysis_status, run.facts.analysis_id
        if not run.is_current or status is None or analysis_id is None or not allows(ANALYSIS, status, change.event):
            return
        run.analysis_status = move(ANALYSIS, status, change.event)
        self._flush.analyses[analysis_id] = (run.facts.run_id, run.analysis_status)

    def _instruct(self, run: RunFacts, instruction: Instruction) -> None:
        match instruction:
            case PublishTokens():
                later = self.now + timedelta(seconds=instruction.delay) if instruction.delay else None
                token, queue = Token(instruction.queue), instruction.queue
                self.post(Posting(token, queue, priority=run.priority, copies=instruction.count, not_before=later))
            case StopAttempts():
                self.post(Posting(StopRun(run.run_uuid), "", exchange=names.CONTROL_EXCHANGE, mandatory=False))


def _locked_run(row: Mapping[str, Any], stages: list[Mapping[str, Any]]) -> LockedRun:
    of_analysis = row["analysis_id"] is not None
    statuses = {} if of_analysis else statuses_of(row)
    return LockedRun(
        facts=_run_facts(row, tuple(_stage_facts(stage) for stage in stages)),
        row=row,
        analysis_status=AnalysisStatus(row["analysis_status"]) if of_analysis else None,
        is_current=bool(row["is_current"]) if of_analysis else bool(statuses),
        artifacts={stage["position"]: stage["artifacts"] for stage in stages if not stage["parallel"]},
        statuses=statuses,
    )


def _run_facts(row: Mapping[str, Any], stages: tuple[StageFacts, ...]) -> RunFacts:
    return RunFacts(
        run_id=row["id"],
        run_uuid=row["run_uuid"],
        analysis_id=row["analysis_id"],
        state=RunState(row["state"]),
        priority=row["priority"],
        stages=stages,
        resumed=row["resumed_from_id"] is not None,
        portfolio_id=row["portfolio_id"],
    )


def _stage_facts(row: Mapping[str, Any]) -> StageFacts:
    counters = {name: row[name] for name in _COUNTERS}
    return StageFacts(
        position=row["position"],
        step=row["step"],
        phase=Phase(row["phase"]),
        queue=row["queue"],
        size=row["size"],
        parallel=row["parallel"],
        optional=row["optional"],
        **counters,
    )


def _sub_task_facts(row: Any) -> SubTaskFacts:
    return SubTaskFacts(
        sub_task_id=row.id,
        stage=row.stage,
        state=SubTaskState(row.state),
        attempt_id=row.attempt_id,
        fence=row.fence,
        weight=SlotWeight(row.weight),
        ended={Cause(cause): count for cause, count in row.ended.items()},
    )
