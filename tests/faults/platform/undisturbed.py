"""What a run leaves when nothing breaks: executed once for each kind of work, on the platform that is then broken."""

from dataclasses import dataclass, field

from tests.faults.platform.analyses import Submitted, Work, submit
from tests.faults.platform.platform import BrokenPlatform, wait
from tests.faults.platform.promise import Expected

COMPLETED = "RUN_COMPLETED"


@dataclass
class Undisturbed:
    """The outputs by work."""

    platform: BrokenPlatform
    _outputs: dict[tuple[int, tuple[tuple[str, float], ...]], bytes] = field(default_factory=dict)

    def prepare(self, *works: Work) -> None:
        """Execute what is not known yet, side by side. The number of chunks makes no difference to the outputs."""
        new = {_key(work): work for work in works if _key(work) not in self._outputs}
        runs = {key: submit(self.platform, work) for key, work in new.items()}
        for key, run in runs.items():
            wait(run.has_ended, "an undisturbed run", within=120)
            assert run.status() == COMPLETED
            self._outputs[key] = run.output()

    def completed(self, analysis: Submitted) -> Expected:
        """The analysis must complete with the outputs of an undisturbed run."""
        self.prepare(analysis.work)
        return Expected(analysis, COMPLETED, self._outputs[_key(analysis.work)])


def _key(work: Work) -> tuple[int, tuple[tuple[str, float], ...]]:
    return work.rows, work.seconds
