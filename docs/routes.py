"""Who sends each message, and where it travels; the catalogue itself says only what is in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared import names
from shared.core.plan import RECORDER_QUEUE
from shared.messages.catalogue import (
    AttemptFinished,
    AttemptRefused,
    AttemptSettled,
    BeatAnswered,
    CanarySent,
    CancelRun,
    ChangePriority,
    ClaimAnswered,
    ClaimWork,
    DrainWorker,
    KeepPartialFiles,
    Message,
    QueueUnserved,
    RegisterModel,
    StartRun,
    StopRun,
    Token,
    WorkerBeat,
    WorkerDied,
)


class Kind(StrEnum):
    """Whether a message wants something or tells something."""

    COMMAND = "command"
    EVENT = "event"


class Way(StrEnum):
    """How a message leaves its sender."""

    OUTBOX = "outbox"
    DIRECT = "direct"


@dataclass(frozen=True)
class Route:
    """From whom, over which queue or exchange, how."""

    kind: Kind
    sender: str
    queue: str
    way: Way
    note: str = ""


WORKER_QUEUE = names.worker_queue("{worker_id}")
_TASK_CONTROLLER, _API, _WORKER = "task controller", "API", "worker"
_COMMAND, _EVENT = Kind.COMMAND, Kind.EVENT

ROUTES: Mapping[type[Message], Route] = {
    Token: Route(
        _EVENT,
        _TASK_CONTROLLER,
        names.model_queue("{supplier}", "{model}", "{version}", "V2"),
        Way.OUTBOX,
        f"or `{RECORDER_QUEUE}` for the worker monitor; its priority is the run's",
    ),
    StartRun: Route(_COMMAND, _API, names.TASK_CONTROLLER_QUEUE, Way.OUTBOX),
    CancelRun: Route(_COMMAND, _API, names.TASK_CONTROLLER_QUEUE, Way.OUTBOX),
    ChangePriority: Route(_COMMAND, _API, names.TASK_CONTROLLER_QUEUE, Way.OUTBOX),
    ClaimWork: Route(
        _COMMAND,
        _WORKER,
        names.TASK_CONTROLLER_QUEUE,
        Way.DIRECT,
        "or inside `AttemptFinished`; repeated until it is answered; the worker monitor claims like any worker",
    ),
    ClaimAnswered: Route(_EVENT, _TASK_CONTROLLER, WORKER_QUEUE, Way.DIRECT, "after the commit"),
    AttemptFinished: Route(
        _EVENT,
        _WORKER,
        names.TASK_CONTROLLER_QUEUE,
        Way.DIRECT,
        "repeated inside every `WorkerBeat`, without the claim, until it is answered",
    ),
    AttemptSettled: Route(
        _EVENT,
        _TASK_CONTROLLER,
        WORKER_QUEUE,
        Way.DIRECT,
        "after the commit; where a claim came with the report, `ClaimAnswered` says it",
    ),
    AttemptRefused: Route(_EVENT, _TASK_CONTROLLER, WORKER_QUEUE, Way.DIRECT, "after the commit"),
    WorkerBeat: Route(_EVENT, _WORKER, names.HEARTBEAT_QUEUE, Way.DIRECT, "not persistent"),
    BeatAnswered: Route(_EVENT, _TASK_CONTROLLER, WORKER_QUEUE, Way.DIRECT, "after the commit"),
    CanarySent: Route(_EVENT, "reaper of the task controller", names.HEARTBEAT_QUEUE, Way.DIRECT, "not persistent"),
    WorkerDied: Route(_EVENT, "whoever started the worker", names.TASK_CONTROLLER_QUEUE, Way.DIRECT),
    QueueUnserved: Route(
        _EVENT,
        "worker controller",
        names.TASK_CONTROLLER_QUEUE,
        Way.DIRECT,
        "not persistent; said again while it is so",
    ),
    StopRun: Route(
        _COMMAND,
        _TASK_CONTROLLER,
        names.CONTROL_EXCHANGE,
        Way.OUTBOX,
        f"a fan-out exchange; again over `{WORKER_QUEUE}` in answer to a heartbeat that lists such an attempt",
    ),
    KeepPartialFiles: Route(_COMMAND, _TASK_CONTROLLER, names.MONITOR_QUEUE, Way.OUTBOX),
    DrainWorker: Route(
        _COMMAND,
        "worker controller",
        names.CONTROL_EXCHANGE,
        Way.DIRECT,
        "not persistent; repeated until the worker says in its heartbeat that it drains",
    ),
    RegisterModel: Route(_COMMAND, _WORKER, names.MONITOR_QUEUE, Way.DIRECT, "at every start of a worker"),
}
