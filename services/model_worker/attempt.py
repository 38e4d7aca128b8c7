"""One attempt from its grant to its report: fetch, start the step, tee its output, upload, say how it ended."""

import asyncio
import logging
import shutil
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from services.model_worker.attempt_log import AttemptLog
from services.model_worker.cgroup import own_group
from services.model_worker.cleaning import CLEANUP_STEPS, remove_objects
from services.model_worker.fetching import fetch
from services.model_worker.kernel_kills import KernelKills, kill_count
from services.model_worker.log_limits import shortened
from services.model_worker.memory import kernel_message
from services.model_worker.needs import RUN_PROGRAMS
from services.model_worker.objects import ObjectCache, all_of
from services.model_worker.processes import (
    Child,
    ChildEnd,
    ChildSpec,
    ForkServer,
    ProcessesError,
    ProgramsLostError,
    StepReportError,
)
from services.model_worker.processes.step_codec import RESULT_NAME, StepReport, encode_context, read_report
from services.model_worker.room import FULL
from services.model_worker.settings import Settings
from services.model_worker.shared_trees import SharedTrees
from services.model_worker.temporary import temporary_directory, variables
from services.model_worker.warm.environment import CLIENTS_VARIABLE
from services.model_worker.watch import MemoryRule, Verdict, watch
from services.model_worker.watchdog import WatchdogRule
from shared.core.inputs import FileRef
from shared.core.plan import Phase, SlotWeight, storage_prefix
from shared.core.retries import Cause
from shared.messages.catalogue import AttemptFinished, Grant
from shared.object_store import ObjectNotFound, ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)
T = TypeVar("T")

_UPLOAD_KEEPS_SLOT = 0.25
"""Seconds. What takes longer gives the slot up; for less, going on in the slot with the report is sooner."""

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

    @property
    def trees(self) -> SharedTrees:
        """What their steps have extracted and share."""
        return SharedTrees(self.directory / "trees")


class Stopped(Exception):
    """The attempt has been told to end."""


@dataclass
class Ending:
    """What is known of how an attempt ended; grows into its report."""

    cause: Cause | None = None
    message: str | None = None
    artifacts: Mapping[str, FileRef] = field(default_factory=dict)
    started_at: datetime | None = None
    step_ended_at: datetime | None = None
    end: ChildEnd | None = None


class Attempt:
    """Executes one grant. `run` never raises for what the step, the store or a stop do: it is all in the report."""

    def __init__(self, grant: Grant, workshop: Workshop, progress_url: str) -> None:
        self.grant = grant
        self.signs = 0
        """Of life: lines printed and progress reported so far."""
        self._workshop = workshop
        self._progress_url = progress_url
        run = storage_prefix(Phase(grant.phase), grant.owner_id, grant.run_uuid).rstrip("/")
        self._directory = workshop.directory / run / f"attempt-{grant.attempt_id}"
        self._temporary = temporary_directory(workshop.directory, grant.attempt_id)
        self._log = AttemptLog(self._directory / "log.txt", workshop.store, grant.log_key, workshop.settings.log_limit)
        self._child: Child | None = None
        self._stop_cause: Cause | None = None
        self._stop_message = "told to stop"
        self._stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._at_once = False
        self._ending = Ending()
        self._memory = MemoryRule(workshop.settings.memory, grant.weight)
        self._kills = KernelKills(kill_count())

    def stop(self, cause: Cause, message: str = "told to stop", *, at_once: bool = False) -> None:
        """End the attempt: SIGTERM and, after the grace, SIGKILL; `at_once` SIGKILL only. The first cause stands."""
        if self._stop_cause is None:
            self._stop_cause, self._stop_message = cause, message
            self._stopped.set_result(None)
        if at_once:
            self._at_once = True
            if self._child is not None:
                self._child.kill()

    async def run(
        self, turn: Callable[[], Coroutine[Any, Any, None]], leave: Callable[[], Awaitable[None]]
    ) -> AttemptFinished:
        """Execute when `turn` returns, `leave` the slot where nothing is left but a long upload, and report."""
        try:
            self._directory.mkdir(parents=True)
            if self.grant.weight == SlotWeight.ALL:
                await self._unless_stopped(turn())
            self._raise_if_stopped()
            await self._execute(leave)
        except Stopped:
            self._failed(self._stop_cause or Cause.CANCELLED, self._stop_message)
        except Exception as error:  # noqa: BLE001 - an attempt that ends unreported would keep its lease for ever
            self._failed(*meaning_of(error))
        self._blame_the_kernel()
        if self._child is not None:
            await self._child.close()
        return self._report(await self._log.finish())

    async def tidy_up(self) -> None:
        """Remove the attempt's directories; called once its report is on the way."""
        if not self._workshop.settings.keep_local_data:
            await asyncio.to_thread(self._remove_directories)

    def _remove_directories(self) -> None:
        for directory in (self._directory, self._temporary):
            shutil.rmtree(directory, ignore_errors=True)
            with suppress(OSError):  # other attempts are in it
                directory.parent.rmdir()

    async def _execute(self, leave: Callable[[], Awaitable[None]]) -> None:
        if self.grant.step in CLEANUP_STEPS:
            self._ending.started_at = datetime.now(UTC)
            await self._clean_up()
            return
        shop = self._workshop
        fetching = fetch(self.grant, self._directory, shop.settings, shop.cache, shop.trees.directory)
        context = await self._unless_stopped(fetching)
        spec_path = self._directory / "spec.json"
        spec_path.write_bytes(encode_context(context))
        self._ending.started_at = datetime.now(UTC)
        self._child = child = await shop.forks.start(self._child_spec(spec_path, context.directory))
        async with self._log.uploading(shop.settings.log_every):
            end = self._ending.end = await self._follow(child)
        self._ending.step_ended_at = datetime.now(UTC)
        self._raise_if_stopped()
        if end.lost_programs:
            raise ProgramsLostError
        report = read_report_of(spec_path, end)
        self._ending.message = report.error.traceback if report.error else None
        self._ending.cause = None if report.outcome == "completed" else _CAUSES[report.outcome]
        self._ending.artifacts = await self._hand_in(report, leave)

    def _child_spec(self, spec_path: Path, directory: Path) -> ChildSpec:
        self._temporary.mkdir(parents=True, exist_ok=True)
        environ = dict(self._workshop.settings.step_environ) | {"OASIS_ANALYSIS_STATUS_URL": self._progress_url}
        environ |= variables(self._temporary)
        if self.grant.step not in RUN_PROGRAMS:
            environ.pop(CLIENTS_VARIABLE, None)
        return ChildSpec(spec_path, directory, environ, attempt=str(self.grant.attempt_id))

    async def _follow(self, child: Child) -> ChildEnd:
        """Tee the output to its end; meanwhile a stop terminates, and after the grace kills."""
        settings = self._workshop.settings
        rules = (self._memory, WatchdogRule(settings.patience, lambda: self.signs))
        watched = watch(child, rules, self._kills, self._end_by, settings.watch_every, self._memory.share)
        helpers = [asyncio.create_task(watched)]

        def stop(_: object) -> None:
            helpers.append(asyncio.create_task(self._stop(child)))

        self._stopped.add_done_callback(stop)
        try:
            async for line in child.lines():
                self.signs += 1
                self._log.write(line)
            return await child.wait()
        finally:
            self._stopped.remove_done_callback(stop)
            await _end(helpers)

    def _end_by(self, verdict: Verdict) -> None:
        self.stop(verdict.cause, verdict.message, at_once=verdict.at_once)

    def _blame_the_kernel(self) -> None:
        """A failure that followed a kill for want of memory is no error of the model."""
        ending, group = self._ending, own_group()
        if ending.cause == Cause.MODEL_ERROR and self._kills.ended(ending.end, ending.message or ""):
            sentence = kernel_message(self._memory.gauge.peak, group.limit() if group else None)
            self._log.write(sentence.encode())
            self._ending = replace(ending, cause=Cause.OUT_OF_MEMORY, message=f"{sentence}\n{ending.message or ''}")

    async def _stop(self, child: Child) -> None:
        if not self._at_once:
            child.terminate()
            await asyncio.sleep(self._workshop.settings.stop_grace)
        child.kill()

    async def _hand_in(self, report: StepReport, leave: Callable[[], Awaitable[None]]) -> dict[str, FileRef]:
        """Upload what the step has left. Where that takes long, the slot serves the next one meanwhile."""
        uploading = asyncio.create_task(self._keep(report))
        try:
            if not await self._first_of(uploading, _UPLOAD_KEEPS_SLOT):
                await leave()
                await self._first_of(uploading)
            self._raise_if_stopped()
            return uploading.result()
        finally:
            uploading.cancel()
            await asyncio.gather(uploading, return_exceptions=True)

    async def _first_of(self, task: asyncio.Task[Any], timeout: float | None = None) -> bool:
        """Wait for the task, or for a stop. Returns whether one of them came within `timeout` seconds."""
        done, _ = await asyncio.wait((task, self._stopped), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    async def _keep(self, report: StepReport) -> dict[str, FileRef]:
        """What a failed step had ready is kept too; where that cannot be done, its failure is still the news."""
        try:
            return await self._upload(report)
        except (ObjectStoreError, OSError) as error:
            if report.outcome == "completed":
                raise
            log.warning("Partial files are lost", extra={"sub_task": self.grant.slug, "reason": str(error)})
            return {}

    async def _upload(self, report: StepReport) -> dict[str, FileRef]:
        store, prefix = self._workshop.store, self.grant.key_prefix
        paths = report.artifacts
        keys = {name: f"{prefix}{path.name}" for name, path in paths.items()}
        await all_of(asyncio.to_thread(store.put_file, keys[name], path) for name, path in paths.items())
        return {name: FileRef(keys[name], path.name) for name, path in paths.items()}

    async def _clean_up(self) -> None:
        if self._workshop.settings.keep_remote_data:
            self._log.write(b"OASIS_KEEP_REMOTE_DATA is set: kept all objects of the run")
            return
        removed = await asyncio.to_thread(remove_objects, self._workshop.store, self.grant)
        self._log.write(f"removed {removed} objects".encode())

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work, or Stopped as soon as the attempt is told to end."""
        task = asyncio.create_task(work)
        try:
            await self._first_of(task)
            self._raise_if_stopped()
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _raise_if_stopped(self) -> None:
        if self._stop_cause is not None:
            raise Stopped

    def _failed(self, cause: Cause, message: str) -> None:
        self._ending = replace(self._ending, cause=cause, message=message, artifacts={})
        self._log.write(message.rstrip().encode())

    def _report(self, log_key: str | None) -> AttemptFinished:
        ending, end = self._ending, self._ending.end
        facts = {"attempt": str(self.grant.attempt_id), "sub_task": self.grant.slug, "cause": ending.cause}
        log.info("An attempt has ended", extra=facts | {"analysis": self.grant.analysis_id})
        return AttemptFinished(
            attempt_id=self.grant.attempt_id,
            worker_id=self._workshop.worker_id,
            cause=ending.cause,
            message=shortened(ending.message) if ending.message else None,
            artifacts=ending.artifacts,
            log_key=log_key,
            started_at=ending.started_at,
            step_ended_at=ending.step_ended_at,
            finished_at=datetime.now(UTC),
            exit_status=end.exit_status if end else None,
            signal=end.signal if end else None,
            peak_memory=max(end.peak_memory, self._memory.gauge.peak) if end else None,
        )


async def _end(helpers: list[asyncio.Task[None]]) -> None:
    """Cancel the helpers of an attempt; one that has failed is told of, and changes no outcome."""
    for helper in helpers:
        helper.cancel()
    for result in await asyncio.gather(*helpers, return_exceptions=True):
        if isinstance(result, Exception):
            log.error("A helper of an attempt has failed", exc_info=result)


def meaning_of(error: Exception) -> tuple[Cause, str]:
    """What an error of the worker, not of the step, means for the attempt; best called where it is handled."""
    if isinstance(error, ObjectNotFound):
        return Cause.MODEL_ERROR, f"an input is not in the object store: {error}"
    if isinstance(error, ObjectStoreError):
        return Cause.STORAGE, str(error)
    if isinstance(error, OSError) and error.errno in FULL:
        return Cause.STORAGE, f"the worker's disk is full: {error}"
    if isinstance(error, ProgramsLostError):
        return Cause.LOST, str(error)
    if isinstance(error, ProcessesError | OSError):
        return Cause.MODEL_ERROR, str(error)
    log.error("An attempt failed in the worker itself", exc_info=error)
    return Cause.MODEL_ERROR, "".join(traceback.format_exception(error))


def read_report_of(spec_path: Path, end: ChildEnd) -> StepReport:
    """What the step wrote, or what its end says where it died before it could. Raises StepReportError."""
    try:
        return read_report(spec_path)
    except StepReportError as error:
        if end.signal is not None:
            raise StepReportError(spec_path, f"the step was killed by signal {end.signal}") from error
        if not spec_path.with_name(RESULT_NAME).exists():
            what = "something in the model has ended the process (os._exit, exec) before the step was done"
            reason = f"the step ended with exit status {end.exit_status} and wrote no result; {what}"
            raise StepReportError(spec_path, reason) from error
        raise
