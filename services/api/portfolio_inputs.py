"""What the runs of a portfolio read."""

from services.api.call import Call
from services.api.files import find_files, release_files
from services.api.serialize.portfolios import FILE_FIELDS
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
    return {name: FileRef(file.key, file.filename) for name, file in files.items()}


def for_this_run(call: Call, *files: File) -> None:
    """Let files have no owner from their birth: they go when the run that is about to be requested has ended."""
    release_files(call, *(file.id for file in files))
