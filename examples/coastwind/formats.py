"""The binary tables that the Oasis kernels read, as little-endian numpy record types.

Layouts as documented by oasislmf (``oasislmf.pytools.common.data`` and ``oasislmf.pytools.getmodel``);
the tests compare these definitions with the installed package.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

FOOTPRINT_HEADER: Final = np.dtype([("num_intensity_bins", "<i4"), ("has_intensity_uncertainty", "<i4")])
FOOTPRINT_ROW: Final = np.dtype([("areaperil_id", "<u4"), ("intensity_bin_id", "<i4"), ("probability", "<f4")])
FOOTPRINT_INDEX: Final = np.dtype([("event_id", "<i4"), ("offset", "<i8"), ("size", "<i8")])
DAMAGE_BIN: Final = np.dtype(
    [("bin_index", "<i4"), ("bin_from", "<f4"), ("bin_to", "<f4"), ("interpolation", "<f4"), ("damage_type", "<i4")]
)
VULNERABILITY_HEADER: Final = np.dtype([("max_damage_bin_idx", "<i4")])
VULNERABILITY_ROW: Final = np.dtype(
    [("vulnerability_id", "<i4"), ("intensity_bin_id", "<i4"), ("damage_bin_id", "<i4"), ("probability", "<f4")]
)
EVENT: Final = np.dtype([("event_id", "<i4")])
OCCURRENCE_HEADER: Final = np.dtype([("date_options", "<i4"), ("number_of_periods", "<i4")])
OCCURRENCE_ROW: Final = np.dtype([("event_id", "<i4"), ("period_no", "<i4"), ("occ_date_id", "<i4")])
RETURN_PERIOD: Final = np.dtype([("return_period", "<i4")])
QUANTILE: Final = np.dtype([("quantile", "<f4")])

WITH_DATES: Final = 1  # date option of an occurrence file: rows hold day numbers, not periods alone


def header(dtype: np.dtype[np.void], *values: int) -> NDArray[np.void]:
    """One record that opens a file."""
    return np.array([values], dtype=dtype)


def column(dtype: np.dtype[np.void], values: NDArray[np.generic]) -> NDArray[np.void]:
    """A table of one column."""
    table = np.zeros(values.size, dtype=dtype)
    table[table.dtype.names[0] if table.dtype.names else ()] = values
    return table


def write_tables(path: Path, *tables: NDArray[np.void]) -> None:
    """Write record arrays one after the other."""
    path.write_bytes(b"".join(table.tobytes() for table in tables))


def date_ids(year: NDArray[np.int64], month: NDArray[np.int64], day: NDArray[np.int64]) -> NDArray[np.int64]:
    """Day numbers of the proleptic Gregorian calendar with years that begin in March, as occurrence files hold them."""
    march_month = (month + 9) % 12
    march_year = year - march_month // 10
    leap_days = march_year // 4 - march_year // 100 + march_year // 400
    return np.asarray(365 * march_year + leap_days + (march_month * 306 + 5) // 10 + day - 1)
