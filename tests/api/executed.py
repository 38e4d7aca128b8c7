"""Runs as the services after the API leave them: stages, sub-tasks, attempts and their logs."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.core.plan import RunMode, plan_run, plan_undivided, sub_tasks_of
from shared.core.states import RunKind
from shared.database.execution import Attempt, Run, StageRow, SubTask
from shared.database.resources import Analysis, File
from shared.object_store import ObjectStore


class Execution:
    """The newest run of an analysis, planned, and then told what happens."""

    def __init__(self, session: Session, store: ObjectStore, analysis: Any, chunks: int = 2) -> None:
        self.session = session
        self.store = store
        self.analysis_id = int(analysis["id"])
        newest = select(Run).where(Run.analysis_id == self.analysis_id).order_by(Run.id.desc()).limit(1)
        self.run = session.scalars(newest).one()
        self._commit = session.commit
        self._plan(chunks)

    @contextmanager
    def in_one_transaction(self) -> Iterator[None]:
        """What is told in here is committed at the end, together."""
        self._commit = self.session.flush
        yield
        self._commit = self.session.commit
        self._commit()

    def _plan(self, chunks: int) -> None:
        run, kind = self.run, RunKind(self.run.kind)
        undivided = run.run_mode == RunMode.V1
        stages = plan_undivided(kind, run.model_queue) if undivided else plan_run(kind, run.model_queue, chunks, chunks)
        for stage in stages:
            plain = {name: getattr(stage, name) for name in ("step", "phase", "queue", "parallel", "optional", "size")}
            self.session.add(StageRow(run_id=run.id, position=stage.position, pending=stage.size, **plain))
        for planned in sub_tasks_of(stages):
            plain = {name: getattr(planned, name) for name in ("stage", "chunk", "slug", "name", "queue", "weight")}
            self.session.add(
                SubTask(run_id=run.id, priority=run.priority, requested_at=run.requested_at, state="PENDING", **plain)
            )
        run.state = "ACTIVE"
        self.session.commit()

    def sub_task(self, slug: str) -> SubTask:
        """A sub-task by its slug."""
        return self.session.scalars(select(SubTask).filter_by(run_id=self.run.id, slug=slug)).one()

    def move(self, slug: str, state: str, **columns: Any) -> SubTask:
        """Put a sub-task into a state, with the counters of its stage."""
        sub_task = self.sub_task(slug)
        stage = self.session.get_one(StageRow, (self.run.id, sub_task.stage))
        for name, change in ((sub_task.state.lower(), -1), (state.lower(), 1)):
            setattr(stage, name, getattr(stage, name) + change)
        sub_task.state = state
        for name, value in columns.items():
            setattr(sub_task, name, value)
        self._commit()
        return sub_task

    def attempt(self, slug: str, state: str, log: str | None = None, **columns: Any) -> str | None:
        """An attempt of a sub-task; the key of its log."""
        sub_task = self.sub_task(slug)
        key = None if log is None else f"logs/{uuid4().hex}.log"
        if key is not None and log is not None:
            self.store.put(key, io.BytesIO(log.encode()))
        sub_task.fence += 1
        row = Attempt(
            attempt_id=uuid4(),
            sub_task_id=sub_task.id,
            run_id=self.run.id,
            fence=sub_task.fence,
            worker_id="w",
            state=state,
            lease_until=datetime.now(UTC),
            log_key=key,
            **columns,
        )
        self.session.add(row)
        self._commit()
        return key

    def analysis(self, **columns: Any) -> None:
        """Set columns of the analysis."""
        self.session.execute(update(Analysis).where(Analysis.id == self.analysis_id).values(**columns))
        self._commit()

    def end(self, state: str, **columns: Any) -> None:
        """The run has ended."""
        self.run.state = state
        for name, value in columns.items():
            setattr(self.run, name, value)
        self.session.commit()


def record_file(
    session: Session, store: ObjectStore, analysis: Any, field: str, content: bytes, filename: str, content_type: str
) -> File:
    """A file of an analysis, as a run records it."""
    key = f"analysis-{analysis['id']}/{uuid4().hex}/{filename}"
    store.put(key, io.BytesIO(content))
    file = File(key=key, filename=filename, content_type=content_type, size=len(content))
    session.add(file)
    session.flush()
    session.execute(update(Analysis).where(Analysis.id == analysis["id"]).values({f"{field}_id": file.id}))
    session.commit()
    return file


def tar_gz(**members: bytes) -> bytes:
    """An archive; `__` in a name stands for a slash, `_dot_` for a dot."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        folder = tarfile.TarInfo("output")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_dot_", "."))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()
