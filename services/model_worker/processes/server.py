"""What the supervisor uses: starts attempts through a fork server that it keeps alive."""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from services.model_worker.processes.child import Child
from services.model_worker.processes.contract import ChildSpec
from services.model_worker.processes.errors import ForkServerDiedError, GuardianDiedError
from services.model_worker.processes.lifeline import Lifeline
from services.model_worker.processes.markers import ATTEMPT_ROOM, ATTEMPT_VARIABLE, SWEEP_VARIABLE, worker_token
from services.model_worker.processes.server_process import ServerProcess
from services.model_worker.processes.starting import start_child

LOGGER = logging.getLogger(__name__)

_TRIES = 3


class ForkServer:
    """Starts attempts. Use it as an asynchronous context manager; leaving it kills every attempt and the fork server.

    `preload`: modules that the fork server imports before it forks; they must leave no thread behind.
    `environ`: the whole environment of the fork server (default: this process's); steps have their own, in `ChildSpec`.
    `at_first_need`: import nothing, and take no memory, before the first attempt.
    `base_directory`: of the worker; marks all processes for the `sweep` of a later worker of the same directory.

    The fork server dies with the thread that runs the event loop, and attempts die with this process. Do not fork
    this process without execve: the copy would hold the lifelines, and the attempts would live as long as it.
    """

    def __init__(
        self,
        preload: Sequence[str] = (
            "services.model_worker.steps.registry",
            "services.model_worker.processes.step_runner",
        ),
        *,
        base_directory: Path,
        environ: Mapping[str, str] | None = None,
        at_first_need: bool = False,
    ) -> None:
        self._at_first_need = at_first_need
        self._preload = tuple(preload)
        self._environ = dict(os.environ if environ is None else environ)
        self._mark = {SWEEP_VARIABLE: worker_token(base_directory)}
        self._launching: asyncio.Task[ServerProcess] | None = None
        self._children: set[Child] = set()
        self._idle: list[Lifeline] = []
        """To guardians that wait for an attempt."""

    async def __aenter__(self) -> Self:
        if not self._at_first_need:
            self._launch()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ready(self) -> int:
        """Wait for the imports; returns the fork server's process id.

        Raises ForkServerFailedError with the traceback of an import.
        """
        return (await self._launched(self._launch())).pid

    async def start(self, spec: ChildSpec) -> Child:
        """Start an attempt; no code of it has run when this raises.

        Takes a guardian that waits, or has one forked: then waits for the imports, and starts the fork server again if
        it has died, or failed before. Raises ForkServerFailedError, ForkServerDiedError, StartRefusedError.
        """
        marked = replace(spec, environ={**spec.environ, **self._mark, ATTEMPT_VARIABLE: spec.attempt})
        while (guardian := self._waiting_guardian()) is not None:
            with suppress(GuardianDiedError):
                return self._keep(await start_child(guardian, marked, self._idle.append))
        return await self._start_with_new_guardian(marked)

    async def _start_with_new_guardian(self, spec: ChildSpec) -> Child:
        for _ in range(_TRIES):
            launching = self._launch()
            server = await self._launched(launching)
            try:
                guardian = await Lifeline.to_new_guardian(server)
                return self._keep(await start_child(guardian, spec, self._idle.append))
            except (ForkServerDiedError, GuardianDiedError):
                LOGGER.warning("The fork server has died; starting another.", extra={"attempt": spec.attempt})
                await self._forget(launching)
        raise ForkServerDiedError

    def _waiting_guardian(self) -> Lifeline | None:
        while self._idle:
            guardian = self._idle.pop()
            if guardian.is_good:
                return guardian
            guardian.close()
        return None

    async def close(self) -> None:
        """Kill all attempts, wait for their ends, and end the fork server."""
        await asyncio.gather(*(child.close() for child in self._children))
        self._children.clear()
        idle, self._idle = self._idle, []
        await asyncio.gather(*(guardian.end() for guardian in idle))
        if self._launching is not None:
            await self._forget(self._launching)

    def _launch(self) -> asyncio.Task[ServerProcess]:
        """The launch of the fork server, under way or done."""
        if self._launching is None:
            environ = {**self._environ, **self._mark, ATTEMPT_VARIABLE: ATTEMPT_ROOM}
            self._launching = asyncio.create_task(ServerProcess.launch(self._preload, environ), name="fork server")
        return self._launching

    async def _launched(self, launching: asyncio.Task[ServerProcess]) -> ServerProcess:
        """Wait for a launch, which outlives the waiting. A failed one is told once; the next request tries again."""
        try:
            return await asyncio.shield(launching)
        except Exception:
            await self._forget(launching)
            raise

    async def _forget(self, launching: asyncio.Task[ServerProcess]) -> None:
        if self._launching is not launching:
            return  # another start has seen the death before
        self._launching = None
        launching.cancel()
        (outcome,) = await asyncio.gather(launching, return_exceptions=True)
        if isinstance(outcome, ServerProcess):
            await outcome.close()

    def _keep(self, child: Child) -> Child:
        self._children = {child, *(other for other in self._children if not other.closed)}
        return child
