"""What a worker holds, as its heartbeats say it: attempts that run, and finished ones that wait for their answer."""

from dataclasses import dataclass, field, replace
from uuid import UUID

from shared.messages.catalogue import AttemptBeat, AttemptFinished


@dataclass
class Holdings:
    """Pure bookkeeping. An attempt is running, then finished until it is settled or refused, then forgotten."""

    running: dict[UUID, AttemptBeat] = field(default_factory=dict)
    finished: dict[UUID, AttemptFinished] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing runs and nothing waits for an answer."""
        return not self.running and not self.finished

    def start(self, attempt_id: UUID) -> None:
        """List the attempt from the next heartbeat on."""
        self.running[attempt_id] = AttemptBeat(attempt_id)

    def progress(self, attempt_id: UUID, *, total: int | None = None, more: int = 0) -> None:
        """Note progress of a running attempt: the events of the whole set, or how many more are done."""
        beat = self.running.get(attempt_id)
        if beat is not None:
            known = beat.events_total if total is None else max(beat.events_total, total)
            self.running[attempt_id] = AttemptBeat(attempt_id, known, beat.events_complete + max(more, 0))

    def finish(self, report: AttemptFinished) -> AttemptFinished:
        """The attempt is over. Returns its report with all of its progress; it is repeated until it is answered."""
        beat = self.running.pop(report.attempt_id, None)
        if beat is not None:
            report = replace(report, events_total=beat.events_total, events_complete=beat.events_complete)
        self.finished[report.attempt_id] = report
        return report

    def forget(self, attempt_id: UUID) -> None:
        """The attempt has been settled or refused."""
        self.running.pop(attempt_id, None)
        self.finished.pop(attempt_id, None)
