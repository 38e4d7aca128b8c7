"""One attempt from its grant to its report: fetch, start the step, tee its output, upload, say how it ended."""

import asyncio
import logging
import shutil
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from services.model_worker.attempt_log import AttemptLog
from services.model_worker.needs import NEEDS, WITH_DATA_FILES
from services.model_worker.objects import ObjectCache
from services.model_worker.processes import Child, ChildEnd, ChildSpec, ForkServer, ProcessesError, StepReportError
from services.model_worker.processes.step_codec import StepReport, encode_context, read_report
from services.model_worker.settings import Settings
from services.model_worker.step_contract import InputFile, StepContext
from shared.core.inputs import FileRef
from shared.core.plan import Phase, storage_prefix
from shared.core.retries import Cause
from shared.messages.catalogue import AttemptFinished, Grant
from shared.object_store import ObjectNotFound, ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)
T = TypeVar("T")

CLEANUP_STEPS = frozenset({"cleanup-input-generation", "cleanup-losses-generation"})

_CAUSES = {"failed": Cause.MODEL_ERROR, "no_keys": Cause.NO_KEYS, "out_of_memory": Cause.OUT_OF_MEMORY}


@dataclass(frozen=True)
class Workshop:
    """What all attempts of a worker share."""

    worker_id: str
    settings: Settings
    directory: Path
    store: ObjectStore
    cache: ObjectCache
    forks: ForkServer


class Stopped(Exception):
    """The attempt has been told to end."""


@dataclass
class Ending:
    """What is known of how an attempt ended; grows into its report."""

    cause: Cause | None = None
    message: str | None = None
    artifacts: Mapping[str, FileRef] = field(default_factory=dict)
    started_at: datetime | None = None
    end: ChildEnd | None = None


class Attempt:
    """Executes one grant. `run` never raises for what the step, the store or a stop do: it is all in the report."""

    def __init__(self, grant: Grant, workshop: Workshop, progress_url: str) -> None:
        self.grant = grant
        self._workshop = workshop
        self._progress_url = progress_url
        prefix = storage_prefix_of(grant).rstrip("/")
        self._directory = workshop.directory / prefix / f"attempt-{grant.attempt_id}"
        self._child: Child | None = None
        self._stop_cause: Cause | None = None
        self._stopping = asyncio.Event()
        self._ending = Ending()

    def stop(self, cause: Cause, *, at_once: bool = False) -> None:
        """End the attempt: SIGTERM and, after the grace, SIGKILL; `at_once` SIGKILL only. Once told is enough."""
        if self._stop_cause is None:
            self._stop_cause = cause
            self._stopping.set()
        if at_once and self._child is not None:
            self._child.kill()

    async def run(self) -> AttemptFinished:
        """Execute, and report."""
        attempt_log = AttemptLog(self._directory / "log.txt", self._workshop.store, self.grant.log_key)
        try:
            self._directory.mkdir(parents=True)
            await self._execute(attempt_log)
        except Stopped:
            self._failed(self._stop_cause or Cause.CANCELLED, "told to stop")
        except ObjectNotFound as error:
            self._failed(Cause.MODEL_ERROR, f"an input is not in the object store: {error}")
        except ObjectStoreError as error:
            self._failed(Cause.STORAGE, str(error))
        except (ProcessesError, OSError) as error:
            self._failed(Cause.MODEL_ERROR, str(error))
        log_key = await attempt_log.finish(self._ending.message)
        if not self._workshop.settings.keep_local_data:
            await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)
        return self._report(log_key)

    async def _execute(self, attempt_log: AttemptLog) -> None:
        if self.grant.step in CLEANUP_STEPS:
            self._ending.started_at = datetime.now(UTC)
            await self._clean_up(attempt_log)
            return
        context = await self._unless_stopped(self._fetch())
        spec_path = self._directory / "spec.json"
        spec_path.write_bytes(encode_context(context))
        self._ending.started_at = datetime.now(UTC)
        self._child = child = await self._workshop.forks.start(self._child_spec(spec_path, context.directory))
        async with attempt_log.uploading(self._workshop.settings.log_every):
            end = self._ending.end = await self._follow(child, attempt_log)
        self._raise_if_stopped()
        report = read_report_of(spec_path, end)
        self._ending.message = report.error.traceback if report.error else None
        self._ending.cause = None if report.outcome == "completed" else _CAUSES[report.outcome]
        if report.outcome == "completed":
            self._ending.artifacts = await self._unless_stopped(self._upload(report))

    async def _fetch(self) -> StepContext:
        grant, folder = self.grant, self._directory / "inputs"
        needed = {name: ref for name, ref in grant.files.items() if name in NEEDS[grant.step]}
        data = grant.data_files if grant.step in WITH_DATA_FILES else ()
        settings = self._workshop.settings
        directory = self._directory / "step"
        directory.mkdir()
        return StepContext(
            step=grant.step,
            slug=grant.slug,
            analysis_id=grant.analysis_id,
            run_uuid=grant.run_uuid,
            directory=directory,
            model=settings.place,
            chunk=grant.chunk,
            chunks=grant.chunks,
            files=await self._link(needed, folder / "files"),
            chunk_files=tuple(
                await asyncio.gather(
                    *(self._link(files, folder / f"chunk-{n}") for n, files in enumerate(grant.chunk_files))
                )
            ),
            data_files=tuple((await self._link({str(n): ref for n, ref in enumerate(data)}, folder / "data")).values()),
            reporting_currency=grant.reporting_currency,
            debug=settings.debug,
            keep_local_data=settings.keep_local_data,
        )

    async def _link(self, references: Mapping[str, FileRef], folder: Path) -> dict[str, InputFile]:
        cache = self._workshop.cache
        files = await asyncio.gather(*(cache.link(ref, folder / name) for name, ref in references.items()))
        return dict(zip(references, files, strict=True))

    def _child_spec(self, spec_path: Path, directory: Path) -> ChildSpec:
        environ = dict(self._workshop.settings.step_environ) | {"OASIS_ANALYSIS_STATUS_URL": self._progress_url}
        return ChildSpec(spec_path, directory, environ, attempt=str(self.grant.attempt_id))

    async def _follow(self, child: Child, attempt_log: AttemptLog) -> ChildEnd:
        """Tee the output to its end; meanwhile a stop terminates, and after the grace kills."""
        stopper = asyncio.create_task(self._stop_when_told(child))
        try:
            async for line in child.lines():
                attempt_log.write(line)
            return await child.wait()
        finally:
            stopper.cancel()
            with suppress(asyncio.CancelledError):
                await stopper

    async def _stop_when_told(self, child: Child) -> None:
        await self._stopping.wait()
        child.terminate()
        await asyncio.sleep(self._workshop.settings.stop_grace)
        child.kill()

    async def _upload(self, report: StepReport) -> dict[str, FileRef]:
        store, prefix = self._workshop.store, self.grant.key_prefix
        paths = report.artifacts
        keys = {name: f"{prefix}{path.name}" for name, path in paths.items()}
        await asyncio.gather(*(asyncio.to_thread(store.put_file, keys[name], path) for name, path in paths.items()))
        return {name: FileRef(keys[name], path.name) for name, path in paths.items()}

    async def _clean_up(self, attempt_log: AttemptLog) -> None:
        prefix = storage_prefix_of(self.grant)
        if self._workshop.settings.keep_remote_data:
            attempt_log.write(f"OASIS_KEEP_REMOTE_DATA is set: kept all objects below {prefix}".encode())
            return
        removed = await asyncio.to_thread(self._workshop.store.delete_prefix, prefix)
        attempt_log.write(f"removed {removed} objects below {prefix}".encode())

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work, or Stopped as soon as the attempt is told to end."""
        task, stopped = asyncio.create_task(work), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
            self._raise_if_stopped()
            return task.result()
        finally:
            for each in (task, stopped):
                each.cancel()
            await asyncio.gather(task, stopped, return_exceptions=True)

    def _raise_if_stopped(self) -> None:
        if self._stop_cause is not None:
            raise Stopped

    def _failed(self, cause: Cause, message: str) -> None:
        self._ending = replace(self._ending, cause=cause, message=message, artifacts={})

    def _report(self, log_key: str | None) -> AttemptFinished:
        ending, end = self._ending, self._ending.end
        facts = {"attempt": str(self.grant.attempt_id), "sub_task": self.grant.slug, "cause": ending.cause}
        log.info("An attempt has ended", extra=facts | {"analysis": self.grant.analysis_id})
        return AttemptFinished(
            attempt_id=self.grant.attempt_id,
            worker_id=self._workshop.worker_id,
            cause=ending.cause,
            message=ending.message,
            artifacts=ending.artifacts,
            log_key=log_key,
            started_at=ending.started_at,
            finished_at=datetime.now(UTC),
            exit_status=end.exit_status if end else None,
            signal=end.signal if end else None,
            peak_memory=end.peak_memory if end else None,
        )


def storage_prefix_of(grant: Grant) -> str:
    """The prefix of the grant's phase."""
    return storage_prefix(Phase(grant.phase), grant.analysis_id, grant.run_uuid)


def read_report_of(spec_path: Path, end: ChildEnd) -> StepReport:
    """What the step wrote, or what its end says where it died before it could. Raises StepReportError."""
    try:
        return read_report(spec_path)
    except StepReportError as error:
        if end.signal is not None:
            raise StepReportError(spec_path, f"the step was killed by signal {end.signal}") from error
        raise
