"""From gust fields to the footprint: intensity bins, and the rows of each event."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from examples.coastwind import formats
from examples.coastwind.grid import Floats

GUST_MIN: Final = 26.0  # m/s; no damage is modelled below
GUST_MAX: Final = 70.0  # m/s; everything above falls in the last bin
BIN_WIDTH: Final = 1.0  # m/s
INTENSITY_BINS: Final = round((GUST_MAX - GUST_MIN) / BIN_WIDTH)


@dataclass(frozen=True, slots=True)
class Footprint:
    """Rows of all events in order, and how many belong to each: event i+1 has ``rows_of_event[i]``, never none."""

    rows: NDArray[np.void]
    rows_of_event: NDArray[np.int64]


def bin_gusts() -> Floats:
    """The gust (m/s) in the middle of each intensity bin, bin 1 first."""
    return np.asarray(GUST_MIN + (np.arange(INTENSITY_BINS) + 0.5) * BIN_WIDTH)


def damaging(gust: Floats) -> NDArray[np.bool_]:
    """Which storms reach the lowest intensity bin on land."""
    return np.asarray((gust >= GUST_MIN).any(axis=1))


def build_footprint(gust: Floats, areaperil_id: NDArray[np.uint32]) -> Footprint:
    """Bin the gusts (storms, cells); the intensity of a cell is certain, its uncertainty is in the damage."""
    event, cell = np.nonzero(gust >= GUST_MIN)
    rows = np.zeros(event.size, dtype=formats.FOOTPRINT_ROW)
    rows["areaperil_id"] = areaperil_id[cell]
    rows["intensity_bin_id"] = np.minimum((gust[event, cell] - GUST_MIN) // BIN_WIDTH + 1, INTENSITY_BINS)
    rows["probability"] = 1.0
    return Footprint(rows, np.bincount(event, minlength=gust.shape[0]))


def footprint_index(rows_of_event: NDArray[np.int64]) -> NDArray[np.void]:
    """Byte offset and size of every event in the footprint file."""
    index = np.zeros(rows_of_event.size, dtype=formats.FOOTPRINT_INDEX)
    size = rows_of_event * formats.FOOTPRINT_ROW.itemsize
    index["event_id"] = np.arange(1, rows_of_event.size + 1)
    index["offset"] = formats.FOOTPRINT_HEADER.itemsize + np.cumsum(size) - size
    index["size"] = size
    return index


def write_footprint(directory: Path, footprint: Footprint) -> None:
    """Write ``footprint.bin`` and ``footprint.idx``."""
    head = formats.header(formats.FOOTPRINT_HEADER, INTENSITY_BINS, 0)
    formats.write_tables(directory / "footprint.bin", head, footprint.rows)
    formats.write_tables(directory / "footprint.idx", footprint_index(footprint.rows_of_event))
