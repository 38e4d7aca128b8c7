"""Loads the exposure as the undivided command does, and divides it for the lookup chunks."""

from typing import Any

import numpy as np
import pandas as pd
from oasislmf.computation.generate.files import GenerateFiles
from oasislmf.utils.data import get_exposure_data


def load(step: GenerateFiles) -> Any:
    """The exposure that `step` is set up with, with oasislmf's ids, in the reporting currency if there is one.

    All four files are read even where only locations are looked up: the class of business, and so the ids, need all.
    """
    exposure = get_exposure_data(step, add_internal_col=True)
    if step.reporting_currency:
        exposure.reporting_currency = step.reporting_currency
    return exposure


def subjects_at_risk(exposure: Any) -> pd.DataFrame:
    """The rows that keys are looked up for: locations, or accounts where the class of business has no locations."""
    rows: pd.DataFrame = exposure.get_subject_at_risk_source().dataframe
    return rows


def chunk_of(rows: pd.DataFrame, chunk: int, chunks: int) -> pd.DataFrame:
    """Chunk `chunk` (from 0) of `chunks`: contiguous, the first ones longer by one if they differ; index from 0.

    What is divided are the ids (`loc_id`), so that the rows of one location, if it has several, stay together.
    """
    codes, ids = pd.factorize(rows["loc_id"])
    wanted = np.array_split(np.arange(len(ids)), chunks)[chunk]
    return rows.loc[np.isin(codes, wanted)].reset_index(drop=True)
