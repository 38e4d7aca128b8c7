"""What an attempt reads: fetched into its directory, and nothing that its step does not need."""

import hashlib
from pathlib import Path

from services.model_worker.needs import WITH_DATA_FILES, needed
from services.model_worker.objects import ObjectCache
from services.model_worker.settings import Settings
from services.model_worker.step_contract import InputFile, StepContext
from shared.core.inputs import FileRef
from shared.messages.catalogue import Grant


async def fetch(
    grant: Grant, directory: Path, settings: Settings, cache: ObjectCache, trees: Path | None = None
) -> StepContext:
    """The context of the step, its files linked below `directory`. Raises the store's errors, and OSError."""
    step, inputs = directory / "step", directory / "inputs"
    step.mkdir()
    inputs.mkdir()
    wanted: dict[Path, FileRef] = {}

    def placed(reference: FileRef) -> InputFile:
        path = inputs / name_of(reference)
        wanted[path] = reference
        return InputFile(path, reference.filename)

    data = grant.data_files if grant.step in WITH_DATA_FILES else ()
    context = StepContext(
        step=grant.step,
        slug=grant.slug,
        analysis_id=grant.analysis_id,
        run_uuid=grant.run_uuid,
        directory=step,
        model=settings.place,
        chunk=grant.chunk,
        chunks=grant.chunks,
        files={name: placed(ref) for name, ref in grant.files.items() if needed(grant.step, name)},
        chunk_files=tuple({name: placed(ref) for name, ref in files.items()} for files in grant.chunk_files),
        data_files=tuple(map(placed, data)),
        reporting_currency=grant.reporting_currency,
        trees=trees,
        debug=settings.debug,
        keep_local_data=settings.keep_local_data,
    )
    await cache.link(wanted)
    return context


def name_of(reference: FileRef) -> str:
    """What the object is called here, other than any other object: steps know by it what was made of it before."""
    return hashlib.sha256(reference.key.encode()).hexdigest()[:16]
