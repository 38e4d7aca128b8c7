"""One attempt's processes as the supervisor sees them."""

import asyncio
import logging
import signal
from asyncio import ReadTransport, StreamReader
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from services.model_worker.processes import proc
from services.model_worker.processes.contract import KILL, TERMINATE, ChildEnd, Started
from services.model_worker.processes.errors import SweepFailedError
from services.model_worker.processes.lifeline import Lifeline
from services.model_worker.processes.lines import LineCutter
from services.model_worker.processes.sweep import sweep_attempt

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Output:
    """The supervisor's end of an attempt's output."""

    reader: StreamReader
    transport: ReadTransport


class Child:
    """A started attempt. Made by `ForkServer.start`.

    Read the output to its end (`lines` or `output`): a step whose output nobody reads stops at a full pipe. The end
    of the output comes when all processes of the attempt are dead, so reading it all before `wait` is fine.
    """

    def __init__(
        self, attempt: str, started: Started, output: Output, lifeline: Lifeline, give_back: Callable[[Lifeline], None]
    ) -> None:
        self.attempt = attempt
        self.pid = started.pid
        """The step process."""
        self.guardian_pid = started.guardian_pid
        self.output: StreamReader = output.reader
        """stdout and stderr of all the attempt's processes, raw."""
        self._transport = output.transport
        self._lifeline: Lifeline | None = lifeline
        self._ended = asyncio.create_task(self._end(lifeline, give_back), name=f"end of attempt {attempt}")

    async def lines(self) -> AsyncIterator[bytes]:
        """Lines of the output without their ends; one longer than 64 KiB comes in pieces. Nothing is decoded."""
        cutter = LineCutter()
        while data := await self.output.read(65536):
            for line in cutter.feed(data):
                yield line
        for line in cutter.finish():
            yield line

    async def wait(self) -> ChildEnd:
        """The end of the step process and of all it started. Any number may wait, and give up waiting."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """SIGTERM to every process of the attempt. When the step process has ended, the rest is killed."""
        self._command(TERMINATE)

    def kill(self) -> None:
        """SIGKILL to every process of the attempt."""
        self._command(KILL)

    def processes(self) -> list[int]:
        """Ids of the attempt's live processes, the step first; not the guardian. Empty after the end."""
        return [] if self._ended.done() else [pid for pid in proc.descendants(self.guardian_pid) if proc.is_alive(pid)]

    def memory(self) -> int:
        """Bytes of all processes of the attempt, what they share counted once. Takes about 5 ms per GiB."""
        return sum(map(proc.memory, self.processes()))

    @property
    def closed(self) -> bool:
        """Ended, and the output read to its end."""
        return self._ended.done() and self._transport.is_closing()

    async def close(self) -> None:
        """Kill the attempt, wait for its end and drop output that was not read."""
        self.kill()
        with suppress(SweepFailedError):  # whoever waits for the child gets it
            await self.wait()
        self._transport.close()

    def _command(self, command: bytes) -> None:
        if self._lifeline is not None:
            self._lifeline.command(command)

    async def _end(self, lifeline: Lifeline, give_back: Callable[[Lifeline], None]) -> ChildEnd:
        try:
            message, line = await lifeline.said()
        except BaseException:
            lifeline.close()
            raise
        finally:
            self._lifeline = None  # from here on it may be another attempt's
        if isinstance(message, ChildEnd):
            give_back(lifeline)
            return message
        lifeline.close()
        return await self._lost(line)

    async def _lost(self, last_words: bytes) -> ChildEnd:
        facts = {"attempt": self.attempt, "guardian_pid": self.guardian_pid, "last_words": last_words.decode()}
        LOGGER.error("A guardian has died; killing what it guarded.", extra=facts)
        swept = await asyncio.to_thread(sweep_attempt, self.attempt)
        return ChildEnd(exit_status=None, signal=signal.SIGKILL, killed_descendants=len(swept), lost_guardian=True)
