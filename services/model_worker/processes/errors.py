"""Errors of the process machinery.

ProcessesError
├── ForkServerFailedError   the fork server could not import what it preloads; retrying rarely helps
├── ForkServerDiedError     the fork server ended under a request, three times in a row; retryable
├── GuardianDiedError       a guardian ended before it had started a step; another is tried
├── StartRefusedError       the fork server or the guardian could not fork; `reason` holds the traceback; retryable
├── ProgramsLostError       warm programs died with the server that had forked them; retryable
├── StepReportError         result.json is missing or unreadable
├── UnfitToFork             warm programs left something in the fork server; it starts anew without them
└── SweepFailedError        processes of an earlier worker do not die
"""

from collections.abc import Sequence
from pathlib import Path


class ProcessesError(Exception):
    """Something about a worker's processes went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class ForkServerFailedError(ProcessesError):
    """The fork server could not start: read the reason, mend the installation or the model, start the worker again."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{type(self).__doc__}\n{reason}")
        self.reason = reason


class ForkServerDiedError(ProcessesError):
    """The fork server ended before it had started the step: look for a SIGKILL (out of memory?) and try again."""


class GuardianDiedError(ProcessesError):
    """A guardian ended before it had started the step."""


class StartRefusedError(ProcessesError):
    """The step could not be started: read the reason (often a limit of processes or memory) and try again."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{type(self).__doc__}\n{reason}")
        self.reason = reason


class ProgramsLostError(ProcessesError):
    """Warm programs of the attempt died with their server: look for a SIGKILL (out of memory?); it is tried again."""


class StepReportError(ProcessesError):
    """A step's result.json is missing or unreadable: the step died before it could write, or overwrote it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}. {type(self).__doc__}")
        self.path = path


class UnfitToFork(ProcessesError):
    """Loading the programs left something that a fork cannot have: they are started plain until that is mended."""

    def __init__(self, left: str) -> None:
        super().__init__(f"{type(self).__doc__} {left}")
        self.left = left


class SweepFailedError(ProcessesError):
    """Processes that an earlier worker left do not die: they wait for a device or a disk, or are another user's."""

    def __init__(self, pids: Sequence[int]) -> None:
        super().__init__(f"{type(self).__doc__} Process ids: {', '.join(map(str, pids))}")
        self.pids = tuple(pids)
