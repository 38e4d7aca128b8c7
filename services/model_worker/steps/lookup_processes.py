"""A lookup by several processes gives its keys in the order of one process, not in that in which they end.

`oasislmf` takes the keys of more than a thousand locations from as many processes as there are cores, first come, first
served. The order of the keys decides the ids of the items, and so the order in which single-precision losses are added
up: two runs of one portfolio would differ in their last digits.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from oasislmf.lookup import factory

from .keys_order import LOOKED_UP, in_one_order


@contextmanager
def in_the_order_of_one() -> Iterator[None]:
    """While inside, lookups of this process order what their processes return. All keys are then held at once."""
    before = factory.run_multiproc, factory._split_locations  # noqa: SLF001 it has no setting for either
    factory.run_multiproc, factory._split_locations = _ordered(before[0]), _split_by_rows  # noqa: SLF001
    try:
        yield
    finally:
        factory.run_multiproc, factory._split_locations = before  # noqa: SLF001


def _split_by_rows(locations: pd.DataFrame, parts: int) -> Iterator[pd.DataFrame]:
    """As one process would come to them; all rows of a location in one part. `oasislmf` splits by their ids."""
    for ids in np.array_split(locations["loc_id"].unique(), parts):
        yield locations[locations["loc_id"].isin(ids)]


def _ordered(run_multiproc: Callable[..., Any]) -> Callable[..., Any]:
    def run(parts: Iterable[Any], lookup_of: Callable[..., Any], processes: int, write: Callable[..., Any]) -> Any:
        return run_multiproc(parts, lookup_of, processes, lambda found: write(_as_one(found)), ordered=True)

    return run


def _as_one(found: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    yield in_one_order(list(found), LOOKED_UP)
