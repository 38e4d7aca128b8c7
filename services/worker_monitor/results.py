"""What a record-* sub-task makes permanent: which artifact becomes which file of the analysis or portfolio. Pure.

Source: oasis_api.md section 8.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from uuid import uuid4

from services.worker_monitor.errors import ArtifactMissing, UnknownStep
from shared.core.inputs import FileRef
from shared.messages.catalogue import Grant

_GZIP, _CSV, _JSON = "application/gzip", "text/csv", "application/json"


@dataclass(frozen=True)
class ResultKind:
    """An artifact and the file that it becomes: column of its owner, filename after `{owner}_{id}_`, content type."""

    artifact: str
    column: str
    name: str
    content_type: str
    required: bool = False


EXPOSURE_FILES = ("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file")
ERRORS = "errors"
"""The artifact of a step that found something wrong with a portfolio."""
_ERRORS = ResultKind(ERRORS, "run_errors_file_id", "errors.txt", _CSV)


RESULTS: Mapping[str, tuple[ResultKind, ...]] = {
    "record-input-files": (
        ResultKind("output_location", "input_file_id", "inputs.tar.gz", _GZIP, required=True),
        ResultKind("lookup_error_location", "lookup_errors_file_id", "keys-errors.csv", _CSV),
        ResultKind("lookup_success_location", "lookup_success_file_id", "gul_summary_map.csv", _CSV),
        ResultKind("lookup_validation_location", "lookup_validation_file_id", "exposure_summary_report.json", _JSON),
        ResultKind("summary_levels_location", "summary_levels_file_id", "exposure_summary_levels.json", _JSON),
        ResultKind("analysis_settings_location", "settings_file_id", "settings.json", _JSON),
    ),
    "record-losses-files": (
        ResultKind("output_location", "output_file_id", "output.tar.gz", _GZIP, required=True),
        ResultKind("run_logs", "run_log_file_id", "logs.tar.gz", _GZIP, required=True),
        ResultKind("input_with_occurrence", "input_file_id", "inputs.tar.gz", _GZIP),
    ),
    "record-combined-losses": (
        ResultKind("output_location", "output_file_id", "outputs.tar.gz", _GZIP, required=True),
    ),
    "record-validation": (_ERRORS,),
    "record-exposure-run": (ResultKind("exposure_run", "exposure_run_file_id", "exposure_run.csv", _CSV), _ERRORS),
    "record-transform": (*(ResultKind(name, f"{name}_id", f"{name}.csv", _CSV) for name in EXPOSURE_FILES), _ERRORS),
}


PARTIAL_RESULTS: Mapping[str, tuple[ResultKind, ...]] = {
    "pre-analysis-hook": (ResultKind("output_location", "input_file_id", "inputs.tar.gz", _GZIP),),
    "write-input-files": (
        ResultKind("output_location", "input_file_id", "inputs.tar.gz", _GZIP),
        ResultKind("lookup_error_location", "lookup_errors_file_id", "keys-errors.csv", _CSV),
    ),
    "generate-losses-output": (
        ResultKind("output_location", "output_file_id", "output.tar.gz", _GZIP),
        ResultKind("run_logs", "run_log_file_id", "logs.tar.gz", _GZIP),
    ),
}
"""What users get of a step that has failed."""


@dataclass(frozen=True)
class Result:
    """One artifact of a run, and the permanent key and filename that its copy gets."""

    kind: ResultKind
    source: str
    key: str
    filename: str

    @property
    def reference(self) -> FileRef:
        """The permanent copy, as later sub-tasks refer to it."""
        return FileRef(self.key, self.filename)


def results_of(grant: Grant) -> list[Result]:
    """What the granted sub-task has to record, with new keys. Raises UnknownStep, ArtifactMissing."""
    kinds = RESULTS.get(grant.step)
    if kinds is None:
        raise UnknownStep(grant.step)
    for kind in kinds:
        if kind.required and kind.artifact not in grant.files:
            raise ArtifactMissing(grant.step, kind.artifact)
    return [_result(_owner(grant), kind, grant.files) for kind in kinds if kind.artifact in grant.files]


def partial_results(step: str, analysis_id: int, left: Mapping[str, FileRef]) -> list[Result]:
    """What users get of a failed step that left these artifacts, with new keys."""
    return [
        _result(f"analysis_{analysis_id}", kind, left)
        for kind in PARTIAL_RESULTS.get(step, ())
        if kind.artifact in left
    ]


def permanent_key(filename: str) -> str:
    """A key of its own for a file that clients own: `files/{uuid}{suffixes}`."""
    return f"files/{uuid4().hex}{''.join(PurePath(filename).suffixes)}"


def _owner(grant: Grant) -> str:
    return f"{'portfolio' if grant.analysis_id is None else 'analysis'}_{grant.owner_id}"


def _result(owner: str, kind: ResultKind, files: Mapping[str, FileRef]) -> Result:
    filename = f"{owner}_{kind.name}"
    return Result(kind, files[kind.artifact].key, permanent_key(filename), filename)
