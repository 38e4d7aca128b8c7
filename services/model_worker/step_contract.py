"""What a step of a sub-task is given and what it leaves: the seam between the worker's supervisor and model code."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class InputFile:
    """One file fetched by the supervisor: immutable, shared between attempts, never written to.

    `filename` is the name that its owner knows it by (its suffixes matter to oasislmf: .csv, .parquet, .csv.gz …).
    """

    path: Path
    filename: str


@dataclass(frozen=True)
class ModelPlace:
    """Where the model of this worker lies. Source: environment of the worker (oasis_api.md section 7.3)."""

    supplier_id: str
    model_id: str
    version_id: str
    model_data_directory: Path  # OASIS_MODEL_DATA_DIRECTORY
    config_path: Path  # the oasislmf.json that was found
    model_settings_path: Path | None


@dataclass(frozen=True)
class StepContext:
    """Everything that one attempt of a sub-task may read. Paths are absolute."""

    step: str  # e.g. "prepare-keys-file" (the slug without its chunk number)
    slug: str  # e.g. "prepare-keys-file-3"
    analysis_id: int | None  # of the analysis, if the run is of one
    run_uuid: str
    directory: Path  # the attempt's own, empty directory; the step writes only here
    model: ModelPlace
    chunk: int | None = None  # 0-based, None outside the parallel section
    chunks: int | None = None
    files: dict[str, InputFile] = field(default_factory=dict)
    """What the run was requested with (location_file, accounts_file, reinsurance_info_file, reinsurance_scope_file,
    settings_file, currency_conversion_json, input_file) and what completed serial steps left (their artifacts, by
    name); the later wins. Only what the step needs is there: see `needs.py`."""
    chunk_files: tuple[dict[str, InputFile], ...] = ()
    """For the step after a parallel section: artifacts of each chunk, in chunk order."""
    data_files: tuple[InputFile, ...] = ()
    reporting_currency: str | None = None
    trees: Path | None = None
    """Where this worker keeps what its attempts extract once and share; see `shared_trees.py`."""
    debug: bool = False
    keep_local_data: bool = False


@dataclass(frozen=True)
class StepResult:
    """What a completed step hands to the supervisor: files inside the attempt's directory, by artifact name.

    The supervisor uploads each under its file name (`lookup-1.tar.gz`, `params.json`, …) below the attempt's prefix.
    """

    artifacts: dict[str, Path] = field(default_factory=dict)
