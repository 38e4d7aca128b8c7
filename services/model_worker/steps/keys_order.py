"""Puts the keys of several chunks in the order in which one lookup of all locations would have written them.

The order of the keys decides the ids of the items, and so the order in which the kernel adds up losses. Lookups write
either location by location, or (as oasislmf's own does) peril by peril and coverage by coverage, all locations in each.
"""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

LOCATION = "LocID"
GROUP = ["PerilID", "CoverageTypeID"]


def in_one_order(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All rows of the tables of the chunks, as of an undivided lookup; duplicates are kept.

    Where no chunk has two locations, both orders are possible and that of oasislmf's own lookup is taken.
    """
    together = pd.concat(tables, ignore_index=True).fillna("")
    if not {LOCATION, *GROUP} <= set(together.columns) or not _group_by_group(tables):
        return together
    position = {group: number for number, group in enumerate(_order_of_groups(tables))}
    ranks = pd.Series([position[group] for group in _groups(together)], index=together.index)
    return together.loc[ranks.sort_values(kind="stable").index].reset_index(drop=True)


def _group_by_group(tables: Sequence[pd.DataFrame]) -> bool:
    if not all(_in_blocks(_groups(table)) for table in tables):
        return False
    several = [table for table in tables if table[LOCATION].nunique() > 1]
    return not several or not all(_in_blocks(list(table[LOCATION])) for table in several)


def _groups(table: pd.DataFrame) -> list[tuple[str, ...]]:
    return list(table[GROUP].itertuples(index=False, name=None))


def _in_blocks(values: Sequence[object]) -> bool:
    """Whether equal values stand together."""
    changes = sum(one != other for one, other in pairwise(values))
    return changes == max(len(set(values)) - 1, 0)


def _order_of_groups(tables: Sequence[pd.DataFrame]) -> list[tuple[str, ...]]:
    """The groups in an order that every chunk agrees with as far as possible: a new one follows its predecessor."""
    order: list[tuple[str, ...]] = []
    for table in tables:
        after = 0
        for group in dict.fromkeys(_groups(table)):
            if group not in order:
                order.insert(after, group)
            after = order.index(group) + 1
    return order
