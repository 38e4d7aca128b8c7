"""What an attempt reads: fetched into its directory, and nothing that its step does not need."""

from collections.abc import Mapping
from pathlib import Path

from services.model_worker.needs import WITH_DATA_FILES, needed
from services.model_worker.objects import ObjectCache, all_of
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
    files = {name: ref for name, ref in grant.files.items() if needed(grant.step, name)}
    data = grant.data_files if grant.step in WITH_DATA_FILES else ()
    return StepContext(
        step=grant.step,
        slug=grant.slug,
        analysis_id=grant.analysis_id,
        run_uuid=grant.run_uuid,
        directory=step,
        model=settings.place,
        chunk=grant.chunk,
        chunks=grant.chunks,
        files=await _link(cache, files, inputs / "files"),
        chunk_files=await all_of(
            _link(cache, files, inputs / f"chunk-{n}") for n, files in enumerate(grant.chunk_files)
        ),
        data_files=await all_of(cache.link(ref, inputs / f"data-{n}") for n, ref in enumerate(data)),
        reporting_currency=grant.reporting_currency,
        trees=trees,
        debug=settings.debug,
        keep_local_data=settings.keep_local_data,
    )


async def _link(cache: ObjectCache, references: Mapping[str, FileRef], folder: Path) -> dict[str, InputFile]:
    files = await all_of(cache.link(ref, folder / name) for name, ref in references.items())
    return dict(zip(references, files, strict=True))
