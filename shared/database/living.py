"""How long attempts that were ended as lost may still be computing on workers that nobody has seen dead."""

from uuid import UUID

from sqlalchemy import Connection, bindparam, func, select

from shared.core.states import AttemptState
from shared.database.execution import Attempt, Worker

_GIVEN_UP = (AttemptState.LOST, AttemptState.UNDELIVERED)
_LAST = (
    select(func.extract("epoch", func.now() - func.max(Attempt.ended_at)))
    .outerjoin(Worker, Worker.worker_id == Attempt.worker_id)
    .where(
        Attempt.sub_task_id == bindparam("sub_task"),
        Attempt.attempt_id != bindparam("attempt"),
        Attempt.state.in_(_GIVEN_UP),
        Worker.died_at.is_(None),
    )
)


def earlier_may_live(connection: Connection, sub_task_id: int, attempt_id: UUID, self_fence: float) -> float:
    """Seconds from now until no attempt of the sub-task but this one can live; by `self_fence` seconds all are dead."""
    ago = connection.execute(_LAST, {"sub_task": sub_task_id, "attempt": attempt_id}).scalar_one()
    return 0.0 if ago is None else max(0.0, self_fence - float(ago))
