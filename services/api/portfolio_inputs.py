"""What the runs of a portfolio read."""

from services.api.call import Call
from services.api.content_types import reading_name
from services.api.files import find_files, release_files
from services.api.serialize.portfolios import EXPOSURE_FIELDS, FILE_FIELDS
from shared.core.inputs import FileRef, RunInputs
from shared.database.resources import File, Portfolio


def portfolio_inputs(call: Call, portfolio: Portfolio, **more: File) -> RunInputs:
    """References to every exposure file and to rates of exchange, and to `more` by name."""
    ids = {name: getattr(portfolio, f"{name}_id") for name in FILE_FIELDS}
    found = find_files(call, set(ids.values()) - {None})
    files = {name: found[file_id] for name, file_id in ids.items() if file_id in found} | more
    return RunInputs(references(files), reporting_currency=portfolio.reporting_currency or None)


def references(files: dict[str, File]) -> dict[str, FileRef]:
    """How a run refers to its files."""
    return {name: FileRef(file.key, _name(name, file)) for name, file in files.items()}


def _name(field: str, file: File) -> str:
    """What its readers know exposure by; all else by its own name."""
    return reading_name(file.filename, file.content_type) if field in EXPOSURE_FIELDS else file.filename


def for_this_run(call: Call, *files: File) -> None:
    """Let files have no owner from their birth: they go when the run that is about to be requested has ended."""
    release_files(call, *(file.id for file in files))
