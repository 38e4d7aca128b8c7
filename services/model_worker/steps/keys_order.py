"""Puts the keys of several chunks, or processes, in the order in which one lookup of all locations would have them.

The order of the keys decides the ids of the items, and so the order in which the kernel adds up losses. Lookups write
either location by location, or (as oasislmf's own does) peril by peril and coverage by coverage, all locations in each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd


@dataclass(frozen=True)
class Columns:
    """What a table calls the location of a key, and that by which a lookup may go."""

    location: str
    groups: tuple[str, ...]


WRITTEN = Columns("LocID", ("PerilID", "CoverageTypeID"))
"""Of files of keys."""
LOOKED_UP = Columns("loc_id", ("peril_id", "coverage_type"))
"""Of what a lookup returns."""


def in_one_order(tables: Sequence[pd.DataFrame], columns: Columns = WRITTEN) -> pd.DataFrame:
    """All rows of the tables of the chunks, as of an undivided lookup; duplicates are kept.

    Where no chunk has two locations, both orders are possible and that of oasislmf's own lookup is taken.
    """
    together = pd.concat(tables, ignore_index=True)
    if not {columns.location, *columns.groups} <= set(together.columns) or not _group_by_group(tables, columns):
        return together
    position = {group: number for number, group in enumerate(_order_of_groups(tables, columns))}
    ranks = pd.Series([position[group] for group in _groups(together, columns)], index=together.index)
    return together.loc[ranks.sort_values(kind="stable").index].reset_index(drop=True)


def _group_by_group(tables: Sequence[pd.DataFrame], columns: Columns) -> bool:
    if not all(_in_blocks(_groups(table, columns)) for table in tables):
        return False
    several = [table for table in tables if table[columns.location].nunique() > 1]
    return not several or not all(_in_blocks(list(table[columns.location])) for table in several)


def _groups(table: pd.DataFrame, columns: Columns) -> list[tuple[str, ...]]:
    return list(table[list(columns.groups)].itertuples(index=False, name=None))


def _in_blocks(values: Sequence[object]) -> bool:
    """Whether equal values stand together."""
    changes = sum(one != other for one, other in pairwise(values))
    return changes == max(len(set(values)) - 1, 0)


def _order_of_groups(tables: Sequence[pd.DataFrame], columns: Columns) -> list[tuple[str, ...]]:
    """The groups in an order that every chunk agrees with as far as possible: a new one follows its predecessor."""
    order: list[tuple[str, ...]] = []
    for table in tables:
        after = 0
        for group in dict.fromkeys(_groups(table, columns)):
            if group not in order:
                order.insert(after, group)
            after = order.index(group) + 1
    return order
