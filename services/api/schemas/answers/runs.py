"""Runs, their sub-tasks and attempts, and what more workers would bring them. Source: oasis_api.md section 1.7."""

from marshmallow import fields

from services.api.schemas.answers.base import (
    Answer,
    StatusCount,
    anything,
    link,
    many,
    moment,
    number,
    one,
    several,
    text,
    texts,
    whole,
    yes_no,
)
from services.api.schemas.requests import RUN_MODES
from shared.core.states import AttemptState, RunKind, RunState, SubTaskState
from shared.names import SERVER_MODE


class Run(Answer):
    """One execution of an analysis."""

    id = whole()
    run_uuid = text()
    kind = text(only=RunKind)
    run_mode = text(only=(*RUN_MODES, SERVER_MODE))
    state = text(only=RunState)
    priority = whole()
    requested = moment()
    requested_by = text("A user", nullable=True)
    ended = moment(nullable=True)
    lookup_chunks = whole(nullable=True)
    analysis_chunks = whole(nullable=True)
    chunk_advice = anything("What AUTO based the counts of chunks on", nullable=True)
    sub_task_count = whole()
    sub_task_error_ids = several(fields.Integer())
    status_count = one(StatusCount)
    error = text(nullable=True)
    resumed_from = whole("The run that this one goes on from", nullable=True)
    sub_task_list = link()
    files = texts("Links by name")


class TaskStatus(Answer):
    """A sub-task."""

    id = whole()
    task_id = text()
    status = text(only=SubTaskState)
    queue_name = text()
    name = text()
    slug = text()
    pending_time = moment(nullable=True)
    queue_time = moment(nullable=True)
    start_time = moment(nullable=True)
    end_time = moment(nullable=True)
    output_log = link(nullable=True)
    error_log = link(nullable=True)
    retry_log = link(nullable=True)
    retry_count = whole()


class Attempt(Answer):
    """One execution of a sub-task by one worker."""

    attempt_id = text()
    fence = whole()
    state = text(only=AttemptState)
    worker = text()
    slot = whole(nullable=True)
    granted = moment()
    started = moment(nullable=True)
    finished = moment(nullable=True)
    ended = moment(nullable=True)
    cause = text(nullable=True)
    message = text(nullable=True)
    exit_status = whole(nullable=True)
    signal = whole(nullable=True)
    peak_memory = whole("Bytes", nullable=True)


class TimedSubTask(Answer):
    """A sub-task on the critical path."""

    slug = text()
    seconds = number()


class CriticalPath(Answer):
    """What a run would last with endless workers."""

    seconds = number()
    sub_tasks = many(TimedSubTask)


class BestChunks(Answer):
    """The best counts of chunks, and what the run would last with them; null where it is not known."""

    lookup_chunks = whole(nullable=True)
    analysis_chunks = whole(nullable=True)
    wall_seconds = number(nullable=True)


class BestChunksNow(BestChunks):
    """The best counts of chunks with the workers of this run."""

    # marshmallow has an attribute of this name for something else, and takes the field out of the class.
    unknown = texts("Why a count is not known")  # type: ignore[assignment]
    assumed = several(fields.String(), "Counts that rest on an assumed cost of a start")


class Forecast(Answer):
    """What the run would last with so many workers."""

    workers = whole()
    slots = whole()
    wall_seconds = number()
    best = one(BestChunks)


class TimedStage(Answer):
    """A stage of the run."""

    stage = text()
    parallel = yes_no()
    sub_tasks = whole()
    waited_seconds = number()
    seconds = number()
    work_seconds = number()
    longest_seconds = number()
    attempts_lost = whole()


class Speedup(Answer):
    """What was measured of a completed run, and what would be with other workers and chunks."""

    run = whole()
    run_uuid = text()
    workers = whole()
    slots_per_worker = whole()
    lookup_chunks = whole(nullable=True)
    analysis_chunks = whole(nullable=True)
    wall_seconds = number()
    serial_seconds = number()
    parallel_seconds = number()
    parallel_work_seconds = number()
    waiting_seconds = number()
    repeating_seconds = number()
    lost_seconds = number()
    copied_sub_tasks = whole()
    serial_fraction = number("Part of the work, not seconds", nullable=True)
    critical_path = one(CriticalPath)
    predicted = many(Forecast)
    best = one(BestChunksNow)
    stages = many(TimedStage)
