"""What a chunk costs, learned from earlier runs: a start that every chunk pays, and a price for each item in it. Pure.

An item is what the cost grows with: a location of a keys lookup, an event at a location of a loss calculation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

USUAL_START = 2.0
"""Seconds that a chunk's start is taken to cost until chunks of two sizes have been measured."""
USUAL_SPREAD = 0.1
_USUAL_WEIGHT = 4
"""The usual spread counts like so many measured chunks."""
_LARGEST_RATIO = 2.0
_DISTINCT = 1.25
"""Sizes that differ by less than this factor say nothing of the price of an item."""


@dataclass(frozen=True)
class MeasuredSection:
    """The parallel section of an earlier run.

    `seconds`, of its chunks that were completed by their first attempt, are those of the step with its upload; `around`
    are those in which the slot was taken besides (fetching inputs, reporting), where a chunk has one slot.
    """

    items: float
    chunks: int
    seconds: Sequence[float]
    around: Sequence[float] = ()
    cores: int = 1
    """Of the worker: a single chunk may use them all."""


@dataclass(frozen=True)
class CostModel:
    """A chunk of n items takes `start + n * per_item` seconds, more or less: `spread` is the relative deviation.

    A section that is one chunk is divided inside its worker; `efficiency` (0 to 1) is what a core
    is then worth.
    """

    start: float
    per_item: float
    spread: float = USUAL_SPREAD
    efficiency: float = 1.0
    runs: int = 0
    sizes: int = 2
    """Sizes of chunks that could be told apart."""

    @property
    def knows_start(self) -> bool:
        """Whether the start was measured: chunks of one size do not tell it from the price, and it is an assumption."""
        return self.sizes > 1

    def seconds(self, items: float) -> float:
        """Of a chunk that has one slot."""
        return self.start + items * self.per_item

    def seconds_alone(self, items: float, cores: int) -> float:
        """Of a section that is one chunk on a worker with so many cores."""
        return self.seconds(items / max(1.0, self.efficiency * cores))


def fit(sections: Iterable[MeasuredSection], efficiency: float) -> CostModel | None:
    """The model of the sections; None where nothing was measured.

    `efficiency` counts until it has been measured: sections of one chunk on many cores tell it where other chunks,
    of two sizes, tell start and price. Where those do not, it is taken as given, and such a section is one more size.

    The price is a weighted median of slopes between sizes (Theil and Sen), the start a median of what is left, so that
    a minority of odd runs moves neither.
    """
    usable = [section for section in sections if section.items > 0 and section.chunks > 0 and section.seconds]
    alone = [section for section in usable if section.chunks == 1 and section.cores > 1]
    plain = [section for section in usable if section.chunks > 1 or section.cores <= 1]
    points = [_point(section, 1.0) for section in plain]
    measures_efficiency = _distinct_sizes(points) > 1
    if not measures_efficiency:
        points += [_point(section, max(1.0, efficiency * section.cores)) for section in alone]
    if not points:
        return None
    slope = _slope(points)
    start, per_item = _line(points, slope) if slope is not None else _assumed_line(points)
    around = median([value for section in usable for value in section.around] or [0.0])
    return CostModel(
        start=start + max(around, 0.0),
        per_item=per_item,
        spread=_spread([section for section in usable if section.chunks > 1]),
        efficiency=_efficiency(alone, start, per_item, efficiency) if measures_efficiency else efficiency,
        runs=len(usable),
        sizes=_distinct_sizes(points),
    )


def _point(section: MeasuredSection, speed: float) -> tuple[float, float]:
    return section.items / section.chunks / speed, median(section.seconds)


def _slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Seconds for an item, at least 0, from all pairs of sizes that differ enough; far apart counts more."""
    slopes = []
    for (x, y), (other_x, other_y) in combinations(points, 2):
        if max(x, other_x) >= _DISTINCT * min(x, other_x):
            slopes.append(((y - other_y) / (x - other_x), abs(x - other_x)))
    return max(_weighted_median(slopes), 0.0) if slopes else None


def _line(points: Sequence[tuple[float, float]], slope: float) -> tuple[float, float]:
    """Start and price; where the line would start below zero, it goes through zero instead."""
    start = median([y - slope * x for x, y in points])
    return (start, slope) if start >= 0 else (0.0, median([y / x for x, y in points]))


def _assumed_line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """All chunks had about the same size: the usual start, and no more than half of what was measured."""
    x, y = median([x for x, _ in points]), median([y for _, y in points])
    start = min(USUAL_START, y / 2)
    return start, (y - start) / x


def _weighted_median(values: Sequence[tuple[float, float]]) -> float:
    half, passed = sum(weight for _, weight in values) / 2, 0.0
    for value, weight in sorted(values):
        passed += weight
        if passed >= half:
            return value
    raise ValueError("the median of nothing")


def _spread(divided: Sequence[MeasuredSection]) -> float:
    """Deviation of chunks from the median of their run, drawn towards the usual one where few were measured."""
    ratios = [
        min(seconds / median(section.seconds), _LARGEST_RATIO) - 1
        for section in divided
        for seconds in section.seconds
        if median(section.seconds) > 0
    ]
    squares = _USUAL_WEIGHT * USUAL_SPREAD**2 + sum(ratio * ratio for ratio in ratios)
    return float((squares / (_USUAL_WEIGHT + len(ratios))) ** 0.5)


def _efficiency(alone: Sequence[MeasuredSection], start: float, per_item: float, usual: float) -> float:
    """What a core is worth to a single chunk, where one was measured beside divided ones: 1 / cores at least."""
    found = []
    for section in alone:
        speed = section.items * per_item / max(median(section.seconds) - start, 1e-9)
        found.append(min(max(speed / section.cores, 1 / section.cores), 1.0))
    return median(found) if found else usual


def _distinct_sizes(points: Sequence[tuple[float, float]]) -> int:
    count, last = 0, 0.0
    for x, _ in sorted(points):
        if not count or x >= _DISTINCT * last:
            count, last = count + 1, x
    return count
