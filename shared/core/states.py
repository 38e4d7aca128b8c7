"""Every state machine as one table: (state, event) -> state; docs/lifecycle.md draws its diagrams from here."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class AnalysisStatus(StrEnum):
    """What clients read. Source: oasis_api.md section 2.1."""

    NEW = "NEW"
    INPUTS_GENERATION_QUEUED = "INPUTS_GENERATION_QUEUED"
    INPUTS_GENERATION_STARTED = "INPUTS_GENERATION_STARTED"
    INPUTS_GENERATION_CANCELLED = "INPUTS_GENERATION_CANCELLED"
    INPUTS_GENERATION_ERROR = "INPUTS_GENERATION_ERROR"
    INPUTS_GENERATION_NO_KEYS = "INPUTS_GENERATION_NO_KEYS"
    READY = "READY"
    RUN_QUEUED = "RUN_QUEUED"
    RUN_STARTED = "RUN_STARTED"
    RUN_COMPLETED = "RUN_COMPLETED"
    RUN_CANCELLED = "RUN_CANCELLED"
    RUN_ERROR = "RUN_ERROR"


class AnalysisEvent(StrEnum):
    """What may happen to an analysis."""

    INPUTS_REQUESTED = "inputs requested"
    LOSSES_REQUESTED = "losses requested"
    INPUTS_RESUMED = "inputs resumed"
    LOSSES_RESUMED = "losses resumed"
    INPUTS_STARTED = "inputs started"
    INPUTS_RECORDED = "inputs recorded"
    INPUTS_FAILED = "inputs failed"
    INPUTS_WITHOUT_KEYS = "inputs without keys"
    LOSSES_STARTED = "losses started"
    LOSSES_RECORDED = "losses recorded"
    LOSSES_FAILED = "losses failed"
    CANCELLED = "cancelled"


class ExposureStatus(StrEnum):
    """What clients read of a portfolio: of its validation, its exposure run and its transformation, each apart.

    Source: oasis_api.md section 1.3.
    """

    NONE = "NONE"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
    STARTED = "STARTED"
    ERROR = "ERROR"
    RUN_COMPLETED = "RUN_COMPLETED"


class ExposureEvent(StrEnum):
    """What may happen to one of them."""

    REQUESTED = "requested"
    LACKING = "files are missing"
    RECORDED = "recorded"
    FAILED = "failed"


class RunState(StrEnum):
    """One execution of an analysis, or on a portfolio.

    CANCELLING and FAILING last until every attempt of the run has ended.
    """

    REQUESTED = "REQUESTED"
    ACTIVE = "ACTIVE"
    CANCELLING = "CANCELLING"
    FAILING = "FAILING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


class RunEvent(StrEnum):
    """What may happen to a run."""

    PLANNED = "planned"
    CANCEL_REQUESTED = "cancel requested"
    SUB_TASK_FAILED = "sub-task failed for good"
    ALL_ENDED = "all sub-tasks ended"


class SubTaskState(StrEnum):
    """One unit of a run. Source: oasis_api.md section 2.2."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    CANCELLED = "CANCELLED"


class SubTaskEvent(StrEnum):
    """What may happen to a sub-task."""

    READY = "predecessors done"
    GRANTED = "attempt granted"
    COMPLETED = "result accepted"
    RETRIED = "attempt ended, tries left"
    FAILED = "attempt ended, no tries left"
    CANCELLED = "run stopped"


class AttemptState(StrEnum):
    """One execution of a sub-task: GRANTED until a heartbeat lists it, RUNNING, then its outcome."""

    GRANTED = "granted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    LOST = "lost"
    OUT_OF_MEMORY = "out-of-memory"
    CANCELLED = "cancelled"
    UNDELIVERED = "undelivered"
    DRAINED = "drained"


class AttemptEvent(StrEnum):
    """What may happen to an attempt."""

    LISTED = "listed by a heartbeat"
    COMPLETED = "result accepted"
    FAILED = "error of the model"
    LOST = "worker lost"
    OUT_OF_MEMORY = "out of memory"
    CANCELLED = "run stopped"
    UNDELIVERED = "never listed"
    DRAINED = "handed back"


class RunKind(StrEnum):
    """What a run was requested for."""

    GENERATE_INPUTS = "generate_inputs"
    GENERATE_LOSSES = "generate_losses"
    GENERATE_AND_RUN = "generate_and_run"
    COMBINE = "combine"
    VALIDATE = "validate"
    EXPOSURE_RUN = "exposure_run"
    EXPOSURE_TRANSFORM = "exposure_transform"


SERVER_KINDS = frozenset({RunKind.COMBINE, RunKind.VALIDATE, RunKind.EXPOSURE_RUN, RunKind.EXPOSURE_TRANSFORM})
"""What the internal worker executes, without a model; all but `combine` belong to a portfolio."""


S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)

_A, _AE = AnalysisStatus, AnalysisEvent
_RESTING = (
    _A.NEW,
    _A.INPUTS_GENERATION_ERROR,
    _A.INPUTS_GENERATION_NO_KEYS,
    _A.INPUTS_GENERATION_CANCELLED,
    _A.READY,
    _A.RUN_COMPLETED,
    _A.RUN_CANCELLED,
    _A.RUN_ERROR,
)

ANALYSIS: Mapping[tuple[AnalysisStatus, AnalysisEvent], AnalysisStatus] = {
    **{(status, _AE.INPUTS_REQUESTED): _A.INPUTS_GENERATION_QUEUED for status in _RESTING},
    **{
        (status, _AE.LOSSES_REQUESTED): _A.RUN_QUEUED
        for status in (_A.READY, _A.RUN_COMPLETED, _A.RUN_ERROR, _A.RUN_CANCELLED)
    },
    **{
        (status, _AE.INPUTS_RESUMED): _A.INPUTS_GENERATION_QUEUED
        for status in (_A.INPUTS_GENERATION_ERROR, _A.INPUTS_GENERATION_NO_KEYS, _A.INPUTS_GENERATION_CANCELLED)
    },
    **{(status, _AE.LOSSES_RESUMED): _A.RUN_QUEUED for status in (_A.RUN_ERROR, _A.RUN_CANCELLED)},
    (_A.INPUTS_GENERATION_QUEUED, _AE.INPUTS_STARTED): _A.INPUTS_GENERATION_STARTED,
    (_A.INPUTS_GENERATION_STARTED, _AE.INPUTS_RECORDED): _A.READY,
    (_A.INPUTS_GENERATION_QUEUED, _AE.INPUTS_FAILED): _A.INPUTS_GENERATION_ERROR,
    (_A.INPUTS_GENERATION_STARTED, _AE.INPUTS_FAILED): _A.INPUTS_GENERATION_ERROR,
    (_A.INPUTS_GENERATION_STARTED, _AE.INPUTS_WITHOUT_KEYS): _A.INPUTS_GENERATION_NO_KEYS,
    (_A.INPUTS_GENERATION_QUEUED, _AE.CANCELLED): _A.INPUTS_GENERATION_CANCELLED,
    (_A.INPUTS_GENERATION_STARTED, _AE.CANCELLED): _A.INPUTS_GENERATION_CANCELLED,
    (_A.READY, _AE.LOSSES_STARTED): _A.RUN_STARTED,
    (_A.RUN_QUEUED, _AE.LOSSES_STARTED): _A.RUN_STARTED,
    (_A.RUN_STARTED, _AE.LOSSES_RECORDED): _A.RUN_COMPLETED,
    (_A.READY, _AE.LOSSES_FAILED): _A.RUN_ERROR,
    (_A.RUN_QUEUED, _AE.LOSSES_FAILED): _A.RUN_ERROR,
    (_A.RUN_STARTED, _AE.LOSSES_FAILED): _A.RUN_ERROR,
    (_A.READY, _AE.CANCELLED): _A.RUN_CANCELLED,
    (_A.RUN_QUEUED, _AE.CANCELLED): _A.RUN_CANCELLED,
    (_A.RUN_STARTED, _AE.CANCELLED): _A.RUN_CANCELLED,
}
"""The READY rows of LOSSES_STARTED, LOSSES_FAILED and CANCELLED serve a generate_and_run that is alive in its READY."""

_E, _EE = ExposureStatus, ExposureEvent
EXPOSURE: Mapping[tuple[ExposureStatus, ExposureEvent], ExposureStatus] = {
    **{(status, _EE.REQUESTED): _E.STARTED for status in _E},
    **{(status, _EE.LACKING): _E.INSUFFICIENT_DATA for status in _E},
    (_E.STARTED, _EE.RECORDED): _E.RUN_COMPLETED,
    (_E.STARTED, _EE.FAILED): _E.ERROR,
}
"""A new request takes the place of one that is under way, whose run is cancelled."""

_R, _RE = RunState, RunEvent
RUN: Mapping[tuple[RunState, RunEvent], RunState] = {
    (_R.REQUESTED, _RE.PLANNED): _R.ACTIVE,
    (_R.REQUESTED, _RE.CANCEL_REQUESTED): _R.CANCELLING,
    (_R.REQUESTED, _RE.SUB_TASK_FAILED): _R.FAILING,
    (_R.ACTIVE, _RE.CANCEL_REQUESTED): _R.CANCELLING,
    (_R.ACTIVE, _RE.SUB_TASK_FAILED): _R.FAILING,
    (_R.ACTIVE, _RE.ALL_ENDED): _R.COMPLETED,
    (_R.CANCELLING, _RE.ALL_ENDED): _R.CANCELLED,
    (_R.FAILING, _RE.ALL_ENDED): _R.FAILED,
}

_T, _TE = SubTaskState, SubTaskEvent
SUB_TASK: Mapping[tuple[SubTaskState, SubTaskEvent], SubTaskState] = {
    (_T.PENDING, _TE.READY): _T.QUEUED,
    (_T.QUEUED, _TE.GRANTED): _T.STARTED,
    (_T.STARTED, _TE.COMPLETED): _T.COMPLETED,
    (_T.QUEUED, _TE.COMPLETED): _T.COMPLETED,
    (_T.STARTED, _TE.RETRIED): _T.QUEUED,
    (_T.STARTED, _TE.FAILED): _T.ERROR,
    (_T.PENDING, _TE.CANCELLED): _T.CANCELLED,
    (_T.QUEUED, _TE.CANCELLED): _T.CANCELLED,
    (_T.STARTED, _TE.CANCELLED): _T.CANCELLED,
}
"""QUEUED accepts a result: an attempt given up as lost stays acceptable until a newer one is granted."""

_X, _XE = AttemptState, AttemptEvent
_LIVE = (_X.GRANTED, _X.RUNNING)
ATTEMPT: Mapping[tuple[AttemptState, AttemptEvent], AttemptState] = {
    **{(state, _XE.LISTED): _X.RUNNING for state in _LIVE},
    **{(state, _XE.COMPLETED): _X.COMPLETED for state in (*_LIVE, _X.LOST, _X.UNDELIVERED)},
    **{(state, _XE.FAILED): _X.FAILED for state in _LIVE},
    **{(state, _XE.LOST): _X.LOST for state in _LIVE},
    **{(state, _XE.OUT_OF_MEMORY): _X.OUT_OF_MEMORY for state in _LIVE},
    **{(state, _XE.CANCELLED): _X.CANCELLED for state in _LIVE},
    **{(state, _XE.DRAINED): _X.DRAINED for state in _LIVE},
    (_X.GRANTED, _XE.UNDELIVERED): _X.UNDELIVERED,
}

ALIVE_RUNS = frozenset({_R.REQUESTED, _R.ACTIVE, _R.CANCELLING, _R.FAILING})
RESUMABLE_RUNS = frozenset({_R.CANCELLED, _R.FAILED})
ENDED_SUB_TASKS = frozenset({_T.COMPLETED, _T.ERROR, _T.CANCELLED})
LIVE_ATTEMPTS = frozenset(_LIVE)


class IllegalTransition(Exception):
    """An event that the state does not allow."""

    def __init__(self, state: StrEnum, event: StrEnum) -> None:
        super().__init__(f"{type(state).__name__} {state} does not allow the event '{event}'")
        self.state = state
        self.event = event


def move(table: Mapping[tuple[S, E], S], state: S, event: E) -> S:
    """The state after the event. Raises IllegalTransition where the table has no row."""
    try:
        return table[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None


def allows(table: Mapping[tuple[S, E], S], state: S, event: E) -> bool:
    """Whether the table has a row for the event in this state."""
    return (state, event) in table
