"""What an attempt reads: fetched into its directory, and nothing that its step does not need."""

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

    def placed(name: str, reference: FileRef) -> InputFile:
        wanted[inputs / name] = reference
        return InputFile(inputs / name, reference.filename)

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
        files={name: placed(f"file-{name}", ref) for name, ref in grant.files.items() if needed(grant.step, name)},
        chunk_files=tuple(
            {name: placed(f"chunk-{n}-{name}", ref) for name, ref in files.items()}
            for n, files in enumerate(grant.chunk_files)
        ),
        data_files=tuple(placed(f"data-{n}", ref) for n, ref in enumerate(data)),
        reporting_currency=grant.reporting_currency,
        trees=trees,
        debug=settings.debug,
        keep_local_data=settings.keep_local_data,
    )
    await cache.link(wanted)
    return context
