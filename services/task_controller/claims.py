"""Handing out work: which sub-task a claim gets, and what the grant says."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4
from zlib import crc32

from sqlalchemy import ARRAY, Connection, Integer, Uuid, any_, bindparam, func, or_, select

from services.task_controller.grants import write_grants
from shared.core.facts import WorkGranted
from shared.core.states import LIVE_ATTEMPTS, AttemptState, RunState, SubTaskState
from shared.database.execution import Attempt, Run, SubTask
from shared.database.pipelining import sent_together
from shared.database.working_set import WorkingSet
from shared.messages.catalogue import ClaimAnswered, ClaimWork, Grant

_TURNS = 7_145
"""The first key of the advisory locks by queue."""


@dataclass(frozen=True)
class Candidate:
    """A sub-task that is ready, or that a claim has been granted before."""

    sub_task_id: int
    run_id: int
    attempt_id: UUID | None = None


@dataclass(frozen=True)
class Candidates:
    """What the claims of a batch may get: by queue, best first, and by claim for those that are asked again."""

    ready: Mapping[str, list[Candidate]]
    repeated: Mapping[UUID, Candidate]

    @property
    def run_ids(self) -> set[int]:
        """The runs to lock before anything is granted."""
        ready = (candidate for queue in self.ready.values() for candidate in queue)
        return {candidate.run_id for candidate in (*ready, *self.repeated.values())}

    @property
    def sub_task_ids(self) -> set[int]:
        """The sub-tasks that may be granted."""
        ready = (candidate for queue in self.ready.values() for candidate in queue)
        return {candidate.sub_task_id for candidate in (*ready, *self.repeated.values())}


_TURN = select(func.pg_advisory_xact_lock(_TURNS, bindparam("key", type_=Integer)))
_BEFORE = select(Attempt.claim_id, Attempt.sub_task_id, Attempt.run_id, Attempt.attempt_id).where(
    Attempt.claim_id == any_(bindparam("ids", type_=ARRAY(Uuid)))
)
_READY = (
    select(SubTask.id, SubTask.run_id)
    .join(Run, Run.id == SubTask.run_id)
    .where(
        SubTask.queue == bindparam("queue"),
        SubTask.state == SubTaskState.QUEUED,
        or_(SubTask.not_before.is_(None), SubTask.not_before <= func.now()),
        Run.state == RunState.ACTIVE,
    )
    .order_by(SubTask.priority.desc(), SubTask.requested_at, SubTask.run_id, SubTask.stage.desc(), SubTask.id)
    .limit(bindparam("count", type_=Integer))
)


def find_candidates(connection: Connection, claims: Sequence[ClaimWork]) -> Candidates:
    """The best ready sub-tasks for the claims: priority, then the run requested first, then the later stage."""
    if not claims:
        return Candidates({}, {})
    _take_turns(connection, {claim.queue for claim in claims})
    repeated = _granted_before(connection, [claim.claim_id for claim in claims])
    wanted = Counter(claim.queue for claim in claims if claim.claim_id not in repeated)
    return Candidates({queue: _ready(connection, queue, count) for queue, count in wanted.items()}, repeated)


def look_again(work: WorkingSet, claims: Sequence[ClaimWork], before: Candidates) -> Candidates:
    """The candidates again for the queues on which this transaction has made work ready.

    What has become ready by another transaction meanwhile is left out unless its run is locked here.
    """
    queues = work.queues_made_ready & before.ready.keys()
    if not queues:
        return before
    work.flush_rows()
    wanted = Counter(claim.queue for claim in claims if claim.claim_id not in before.repeated)
    found = {queue: _ready(work.connection, queue, wanted[queue]) for queue in sorted(queues)}
    return Candidates({**before.ready, **found}, before.repeated)


def grant(work: WorkingSet, claims: Sequence[ClaimWork], candidates: Candidates, lease: float) -> list[ClaimAnswered]:
    """Answer every claim. The runs of the candidates must be locked; `lease` in seconds."""
    offered = [each for queue in candidates.ready.values() for each in queue if each.run_id in work.runs]
    work.load(candidate.sub_task_id for candidate in (*offered, *candidates.repeated.values()))
    left = {queue: list(ready) for queue, ready in candidates.ready.items()}
    granted: dict[UUID, Candidate] = {}
    superfluous: set[UUID] = set()
    for claim in {claim.claim_id: claim for claim in claims}.values():
        if claim.claim_id in candidates.repeated:
            found = _again(work, candidates.repeated[claim.claim_id], lease)
        else:
            found = _next(work, claim, left.get(claim.queue, []), lease)
            if found is not None and not claim.by_token and not work.take_back_token(claim.queue):
                superfluous.add(claim.claim_id)
        if found is not None:
            granted[claim.claim_id] = found
    grants = write_grants(work, [candidate.sub_task_id for candidate in granted.values()], lease)
    return [_answer(claim, granted.get(claim.claim_id), grants, superfluous) for claim in claims]


def _answer(
    claim: ClaimWork, granted: Candidate | None, grants: Mapping[int, Grant], superfluous: set[UUID]
) -> ClaimAnswered:
    if granted is None:
        return ClaimAnswered(claim.claim_id)
    return ClaimAnswered(claim.claim_id, grants.get(granted.sub_task_id), token_left=claim.claim_id in superfluous)


def _take_turns(connection: Connection, queues: set[str]) -> None:
    """Replicas look for candidates of a queue one after the other, else they would all find the same ones.

    Comes before every other lock, and in one order.
    """
    with sent_together(connection):
        for key in sorted({crc32(queue.encode()) for queue in queues}):
            connection.execute(_TURN, {"key": key - 2**31})


def _granted_before(connection: Connection, claim_ids: list[UUID]) -> dict[UUID, Candidate]:
    rows = connection.execute(_BEFORE, {"ids": claim_ids})
    return {row.claim_id: Candidate(row.sub_task_id, row.run_id, row.attempt_id) for row in rows}


def _ready(connection: Connection, queue: str, count: int) -> list[Candidate]:
    rows = connection.execute(_READY, {"queue": queue, "count": count})
    return [Candidate(row.id, row.run_id) for row in rows]


def _again(work: WorkingSet, before: Candidate, lease: float) -> Candidate | None:
    """The grant that a claim got before, while that attempt lives: its worker is there, so its lease begins anew."""
    if before.attempt_id is None or before.run_id not in work.runs:
        return None
    work.load((before.sub_task_id,), (before.attempt_id,))
    lives = work.attempts[before.attempt_id].state in LIVE_ATTEMPTS
    is_newest = work.sub_tasks[before.sub_task_id].attempt_id == before.attempt_id
    active = work.runs[before.run_id].facts.state == RunState.ACTIVE
    if not (lives and is_newest and active):
        return None
    work.renew_lease(before.attempt_id, lease)
    return before


def _next(work: WorkingSet, claim: ClaimWork, left: list[Candidate], lease: float) -> Candidate | None:
    while left:
        candidate = left.pop(0)
        if candidate.run_id not in work.runs:
            continue
        attempt_id = uuid4()
        decision = work.decide(candidate.run_id, WorkGranted(attempt_id), candidate.sub_task_id)
        if decision.refusal is None:
            work.insert_attempt(_attempt(work, claim, candidate, attempt_id, lease))
            return candidate
    return None


def _attempt(
    work: WorkingSet, claim: ClaimWork, candidate: Candidate, attempt_id: UUID, lease: float
) -> dict[str, Any]:
    return {
        "attempt_id": attempt_id,
        "claim_id": claim.claim_id,
        "sub_task_id": candidate.sub_task_id,
        "run_id": candidate.run_id,
        "fence": work.sub_tasks[candidate.sub_task_id].fence,
        "worker_id": claim.worker_id,
        "slot": claim.slot,
        "state": AttemptState.GRANTED,
        "granted_at": work.now,
        "lease_until": work.now + timedelta(seconds=lease),
    }
