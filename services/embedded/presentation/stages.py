"""The stages of a run, in the order of the plan, and which stage a sub-task belongs to."""

import re

STAGES = (
    "generate-input",
    "run-analysis",
    "prepare-input-generation-params",
    "pre-analysis-hook",
    "prepare-keys-file",
    "collect-keys",
    "write-input-files",
    "record-input-files",
    "cleanup-input-generation",
    "prepare-losses-generation-params",
    "prepare-losses-generation-directory",
    "generate-losses-chunk",
    "generate-losses-output",
    "record-losses-files",
    "cleanup-losses-generation",
)

_CHUNK_NUMBER = re.compile(r"-\d+$")


def stage_of(slug: str) -> str:
    """The stage of a sub-task: its slug without the number of the chunk."""
    return _CHUNK_NUMBER.sub("", slug)


def stage_order(stage: str) -> tuple[int, str]:
    """Sorts stages as the plan does, those that it does not have last."""
    return (STAGES.index(stage) if stage in STAGES else len(STAGES), stage)
