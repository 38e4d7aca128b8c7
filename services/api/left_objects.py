"""What an ended run has left in the object store for one that goes on from there."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Select, func, select

from services.api.call import Call
from services.api.errors import BadRequest
from services.api.resume_rules import LeftByStage, keys_to_read
from shared.codec import from_plain
from shared.core.facts import StageFacts
from shared.core.inputs import FileRef, RunInputs
from shared.core.plan import Phase
from shared.database.execution import Run, StageRow, SubTask

_AT_ONCE = 8
_NAMED_AT_MOST = 10


def stages_of(call: Call, ended: Run) -> list[LeftByStage]:
    """The stages of the run and what they left; none where it was never planned."""
    rows = call.session.scalars(select(StageRow).where(StageRow.run_id == ended.id).order_by(StageRow.position))
    query = select(SubTask.stage, SubTask.artifacts).where(SubTask.run_id == ended.id, SubTask.artifacts.is_not(None))
    left: dict[int, list[dict[str, FileRef]]] = {}
    for stage, artifacts in call.session.execute(query):
        left.setdefault(stage, []).append(_references(artifacts))
    return [LeftByStage(_facts_of(row), _references(row.artifacts), left.get(row.position, [])) for row in rows]


def _facts_of(row: StageRow) -> StageFacts:
    plain = {name: getattr(row, name) for name in ("position", "step", "queue", "size", "parallel", "optional")}
    return StageFacts(phase=Phase(row.phase), completed=row.completed, error=row.error, **plain)


def _references(artifacts: dict[str, object]) -> dict[str, FileRef]:
    return {name: from_plain(FileRef, reference) for name, reference in artifacts.items()}


def refuse_lost_objects(call: Call, ended: Run, stages: list[LeftByStage], phase: Phase) -> None:
    """Raises BadRequest where something that would be read is gone, or is about to go."""
    if call.session.scalar(_swept_origins(ended)):
        text = "What the run had completed is not kept any more (OASIS_RESUMABLE_FOR); request a new run"
        raise BadRequest({"objects": [text]})
    missing = _missing(call, sorted(keys_to_read(from_plain(RunInputs, ended.inputs), stages, phase)))
    if missing:
        texts = [f"{key} is gone from the object store; request a new run" for key in missing[:_NAMED_AT_MOST]]
        more = len(missing) - _NAMED_AT_MOST
        raise BadRequest({"objects": [*texts, f"and {more} more"] if more > 0 else texts})


def _swept_origins(ended: Run) -> Select[int]:
    """How many of the runs whose objects would be read have been given up by the sweeper."""
    copies = select(SubTask.copied_from_id).where(SubTask.run_id == ended.id)
    origins = select(SubTask.run_id).where(SubTask.id.in_(copies))
    is_read = (Run.id == ended.id) | Run.id.in_(origins)
    return select(func.count()).select_from(Run).where(is_read, Run.objects_swept_at.is_not(None))


def _missing(call: Call, keys: Sequence[str]) -> list[str]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [key for key, there in zip(keys, pool.map(call.store.exists, keys), strict=True) if not there]
