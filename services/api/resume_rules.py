"""When an ended run may be resumed, and what it then reads of what it has left. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.core.facts import StageFacts
from shared.core.inputs import FileRef, RunInputs
from shared.core.plan import Phase

References = Mapping[str, FileRef]


@dataclass(frozen=True)
class LeftByStage:
    """A stage of the ended run and what it left: `artifacts` of a serial one, `chunks` of a parallel one."""

    facts: StageFacts
    artifacts: References
    chunks: Sequence[References] = ()


def changed_files(before: RunInputs, now: RunInputs) -> list[str]:
    """The names of the files, settings aside, that are not the ones that the run was requested with."""
    names = sorted((before.files.keys() | now.files.keys()) - {"settings_file"})
    return [name for name in names if _key(before.files.get(name)) != _key(now.files.get(name))]


def has_other_data(before: RunInputs, now: RunInputs) -> bool:
    """Whether the data files are others."""
    return [_key(each) for each in before.data_files] != [_key(each) for each in now.data_files]


def changed_versions(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """The parts of the model's version that have changed. What was not known at the request cannot be compared."""
    return [name for name, value in sorted(before.items()) if value is not None and now.get(name) != value]


def keys_to_read(inputs: RunInputs, stages: Sequence[LeftByStage], phase: Phase) -> set[str]:
    """The keys of all objects that sub-tasks from `phase` on may read.

    What the other phase left is gone with its clean-up, but for what was recorded and for settings that a hook edited.
    """
    files = dict(inputs.files)
    for stage in stages:
        stays = stage.facts.phase == phase or stage.facts.step.startswith("record-")
        files |= {name: ref for name, ref in stage.artifacts.items() if stays or name == "settings_file"}
    return {ref.key for ref in (*files.values(), *inputs.data_files)} | _keys_of_chunks(stages)


def _keys_of_chunks(stages: Sequence[LeftByStage]) -> set[str]:
    """Chunks are read by the stage after them."""
    wanted = [stage for stage, follower in pairwise(stages) if stage.facts.parallel and not follower.facts.is_done]
    return {ref.key for stage in wanted for chunk in stage.chunks for ref in chunk.values()}


def _key(reference: FileRef | None) -> str | None:
    return reference.key if reference else None
