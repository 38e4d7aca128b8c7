"""collect-keys: merge what the lookup chunks wrote, as if one lookup had written it."""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from services.model_worker.step_contract import StepContext, StepResult

from . import archives
from .errors import MissingFileError
from .keys_order import in_one_order

FROM_FIRST_CHUNK = frozenset({"events", "occurrence", "ensemble_mapping"})
"""Stems of files that a lookup writes whole in every chunk."""

KEYS = "keys.csv"

logger = logging.getLogger(__name__)


def run(context: StepContext) -> StepResult:
    """Leaves `keys_data`: keys-data.tar.gz with the merged files at its root."""
    merged = context.directory / "keys-data"
    merge_directories(_extract_chunks(context), merged)
    return StepResult({"keys_data": archives.create(context.directory / "keys-data.tar.gz", merged)})


def merge_directories(chunks: Sequence[Path], target: Path) -> None:
    """Merge files of the same name, in the order of the chunks.

    Tables (csv, parquet) are put one after the other without duplicates; an empty file adds nothing. Events,
    occurrences and ensemble mappings come from the first chunk that has them. Other files are left out.
    """
    target.mkdir(parents=True)
    names = sorted({path.name for chunk in chunks for path in chunk.iterdir() if path.is_file()})
    for name in names:
        _merge([chunk / name for chunk in chunks if (chunk / name).is_file()], target / name)


def merge_csv(parts: Sequence[Path], target: Path) -> None:
    """Concatenate tables as text, so that no value changes its notation, and drop repeated rows."""
    tables = [pd.read_csv(part, dtype=str, keep_default_na=False) for part in parts]
    table = in_one_order(tables) if target.name == KEYS else pd.concat(tables, ignore_index=True)
    table.fillna("").drop_duplicates().to_csv(target, index=False)


def merge_parquet(parts: Sequence[Path], target: Path) -> None:
    """Concatenate tables and drop rows of the same index, or repeated rows where the index only counts rows."""
    tables = [pd.read_parquet(part) for part in parts]
    if all(type(table.index) is pd.RangeIndex and table.index.name is None for table in tables):
        pd.concat(tables, ignore_index=True).drop_duplicates(ignore_index=True).to_parquet(target)
    else:
        table = pd.concat(tables)
        table[~table.index.duplicated()].to_parquet(target)


MERGES = {".csv": merge_csv, ".parquet": merge_parquet}


def _merge(parts: Sequence[Path], target: Path) -> None:
    filled = [part for part in parts if part.stat().st_size]
    if target.stem in FROM_FIRST_CHUNK:
        shutil.copyfile(parts[0], target)
    elif target.suffix not in MERGES:
        logger.info("A file of the lookup cannot be merged and is left out.", extra={"file": target.name})
    elif filled:
        MERGES[target.suffix](filled, target)
    else:
        target.touch()


def _extract_chunks(context: StepContext) -> list[Path]:
    if not context.chunk_files:
        raise MissingFileError("collect-keys was handed no chunks; the lookup must be run again.")
    return [
        archives.extract(files["chunk_keys"].path, context.directory / f"lookup-{number}")
        for number, files in enumerate(context.chunk_files, start=1)
    ]
