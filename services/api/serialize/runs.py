"""Runs of an analysis, with what each has left."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from services.api.call import Call
from services.api.progress import Progress, progress_of
from services.api.serialize.moments import moment
from shared.core.plan import Phase
from shared.core.states import RunKind
from shared.database.execution import Run, RunFile, StageRow
from shared.database.resources import User

TRACEBACKS = {"input_generation_traceback_file": Phase.INPUTS, "run_traceback_file": Phase.LOSSES}
"""Files that are composed of the logs of one phase when they are read."""

_ONLY_PHASE = {
    RunKind.GENERATE_INPUTS: Phase.INPUTS,
    RunKind.GENERATE_LOSSES: Phase.LOSSES,
    RunKind.COMBINE: Phase.LOSSES,
}


def run_bodies(call: Call, runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Runs as JSON."""
    found = list(runs)
    progress = progress_of(call.session, [run.id for run in found])
    files = files_of(call, found)
    users = _usernames(call, {run.requested_by_id for run in found})
    return [_body(call, run, progress[run.id], files[run.id], users.get(run.requested_by_id)) for run in found]


def files_of(call: Call, runs: Sequence[Run]) -> dict[int, list[str]]:
    """The names of the files that each run has, recorded ones and tracebacks."""
    ids = [run.id for run in runs]
    names: dict[int, list[str]] = {run_id: [] for run_id in ids}
    query = select(RunFile.run_id, RunFile.name).where(RunFile.run_id.in_(ids)).order_by(RunFile.name)
    for run_id, name in call.session.execute(query):
        names[run_id].append(name)
    begun = _begun(call, ids)
    for run in runs:
        names[run.id] += [name for name, phase in TRACEBACKS.items() if _has_traceback(run, phase, begun)]
    return names


def _has_traceback(run: Run, phase: Phase, begun: set[tuple[int, str]]) -> bool:
    if run.ended_at is None:
        return False
    only = _ONLY_PHASE.get(RunKind(run.kind))
    if only is not None:
        return phase == only
    return phase == Phase.INPUTS or (run.id, phase) in begun


def _begun(call: Call, run_ids: list[int]) -> set[tuple[int, str]]:
    """The phases of which something has been done."""
    done = StageRow.completed + StageRow.error > 0
    query = select(StageRow.run_id, StageRow.phase).where(StageRow.run_id.in_(run_ids), done).distinct()
    return {(row.run_id, row.phase) for row in call.session.execute(query)}


def _usernames(call: Call, user_ids: set[int | None]) -> dict[int | None, str]:
    query = select(User.id, User.username).where(User.id.in_([user_id for user_id in user_ids if user_id is not None]))
    return {row.id: row.username for row in call.session.execute(query)}


def _body(call: Call, run: Run, progress: Progress, files: list[str], username: str | None) -> dict[str, Any]:
    url = call.url(f"analyses/{run.analysis_id}/runs/{run.id}/")
    return {
        "id": run.id,
        "run_uuid": run.run_uuid,
        "kind": run.kind,
        "run_mode": run.run_mode,
        "state": run.state,
        "priority": run.priority,
        "requested": moment(run.requested_at),
        "requested_by": username,
        "ended": moment(run.ended_at),
        "lookup_chunks": run.lookup_chunks,
        "analysis_chunks": run.loss_chunks,
        "chunk_advice": run.chunk_advice,
        "sub_task_count": progress.counts.get("size", 0),
        "sub_task_error_ids": progress.error_ids,
        "status_count": progress.status_count(),
        "error": run.error,
        "resumed_from": run.resumed_from_id,
        "sub_task_list": f"{url}sub_task_list/",
        "files": {name: f"{url}files/{name}/" for name in files},
    }
