"""Errors of the worker monitor.

WorkerMonitorError
├── GivenUp            the attempt must end: its run stops, it was refused, or this process is stopping
├── ArtifactMissing    a result that must be recorded is not among the artifacts of the run
├── UnknownStep        the sub-task is none that the worker monitor executes
├── FilesGone          reserved files were swept before they got an owner
└── BadRegistration    the registration of a model cannot be accepted as it is
"""

from shared.core.retries import Cause


class WorkerMonitorError(Exception):
    """The worker monitor could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class GivenUp(WorkerMonitorError):
    """The attempt was given up."""

    def __init__(self, cause: Cause | None) -> None:
        super().__init__(f"The attempt was given up: {cause or 'refused'}.")
        self.cause = cause
        """What to report, or None when nobody waits for a report."""


class ArtifactMissing(WorkerMonitorError):
    """A result that must be recorded is not there."""

    def __init__(self, step: str, artifact: str) -> None:
        super().__init__(
            f"{step} needs {artifact}, and no earlier sub-task of the run left it; run the analysis again."
        )
        self.step = step
        self.artifact = artifact


class UnknownStep(WorkerMonitorError):
    """The sub-task is none that the worker monitor executes."""

    def __init__(self, step: str) -> None:
        super().__init__(f"The worker monitor does not know the step {step!r}; is a newer version running beside it?")
        self.step = step


class FilesGone(WorkerMonitorError):
    """Files that were being recorded have been swept meanwhile; the recording took longer than they are kept."""


class BadRegistration(WorkerMonitorError):
    """The registration of a model cannot be accepted."""
