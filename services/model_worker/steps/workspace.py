"""Puts the files of a run into the attempt's own directory, under the names that oasislmf and its users know."""

import shutil
from pathlib import Path
from typing import Any

from services.model_worker.step_contract import InputFile, StepContext

EXPOSURES = {
    "location": ("location_file", "oed_location_csv"),
    "account": ("accounts_file", "oed_accounts_csv"),
    "reinsinfo": ("reinsurance_info_file", "oed_info_csv"),
    "reinsscope": ("reinsurance_scope_file", "oed_scope_csv"),
}
"""Stem of the file in a run directory: (name among the files of the run, parameter of oasislmf)."""

PARQUET = frozenset({".parquet", ".pq"})
"""What may be uploaded as parquet; oasislmf knows it by the first alone, in small letters."""

COMPRESSIONS = frozenset({".gz", ".bz2", ".zip", ".xz"})


def hooked(context: StepContext) -> bool:
    """Whether a pre-analysis hook has replaced the exposure of this run."""
    return any(f"pre_{stem}" in context.files for stem in EXPOSURES)


def place_exposure(
    context: StepContext, directory: Path, *, copy: bool = False, uploaded: str = "raw_"
) -> dict[str, Any]:
    """Put the exposure into `directory` (linked, or copied if it will be archived); returns oasislmf's parameters.

    What the pre-analysis hook wrote goes before what was uploaded; names of the latter begin with `uploaded`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    after_hook = hooked(context)
    prefix = "pre_" if after_hook else uploaded
    params: dict[str, Any] = {}
    for stem, (name, parameter) in EXPOSURES.items():
        source = context.files.get(f"pre_{stem}" if after_hook else name)
        target = source and directory / f"{prefix}{stem}{suffix(source.filename)}"
        params[parameter] = _place(source, target, copy=copy) if source and target else None
    return params


def place_currency(context: StepContext, directory: Path) -> dict[str, Any]:
    """Parameters of a currency conversion: both or none, as a currency without rates means nothing."""
    rates = context.files.get("currency_conversion_json")
    if rates is None or not context.reporting_currency:
        return {"reporting_currency": None, "currency_conversion_json": None}
    return {
        "reporting_currency": context.reporting_currency,
        "currency_conversion_json": _place(rates, directory / "currency_conversion.json", copy=False),
    }


def place_data_files(context: StepContext, directory: Path) -> str | None:
    """Link the data files of the run under their own names; None if there are none."""
    if not context.data_files:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    for file in context.data_files:
        _place(file, directory / Path(file.filename).name, copy=False)
    return str(directory)


def suffix(filename: str) -> str:
    """The suffix that tells a reader of data frames what it reads.

    >>> suffix("my.portfolio.csv"), suffix("SourceLoc.csv.gz"), suffix("loc.parquet"), suffix("loc")
    ('.csv', '.csv.gz', '.parquet', '.csv')
    """
    suffixes = Path(filename).suffixes
    if not suffixes:
        return ".csv"
    if suffixes[-1].lower() in PARQUET:
        return ".parquet"
    if suffixes[-1].lower() in COMPRESSIONS and len(suffixes) > 1:
        return "".join(suffixes[-2:])
    return suffixes[-1]


def _place(file: InputFile, target: Path, *, copy: bool) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    if copy:
        shutil.copyfile(file.path, target)
    else:
        target.unlink(missing_ok=True)
        target.symlink_to(file.path.absolute())
    return str(target)
