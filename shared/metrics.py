"""Figures of a service in Prometheus' text format 0.0.4. No I/O.

Source of the format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from threading import Lock

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of durations."""

Values = tuple[str, ...]
"""Of the labels, in their order."""

Sample = tuple[str, str, float]
"""The end of the name, the labels as text, the number."""


@dataclass(frozen=True)
class Metric:
    """What a figure is called and means. Names follow Prometheus' conventions: the unit, and `_total` for counters."""

    name: str
    about: str
    labels: tuple[str, ...] = ()

    def labelled(self, values: Values, **more: str) -> str:
        """The labels as text. Raises ValueError where there are more or fewer values than labels."""
        pairs = [*zip(self.labels, values, strict=True), *more.items()]
        return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}" if pairs else ""


@dataclass
class Counter:
    """Grows while the process lives."""

    metric: Metric
    kind: str = "counter"
    _lock: Lock = field(default_factory=Lock, repr=False)
    _counts: dict[Values, float] = field(default_factory=dict)

    def add(self, *values: str, by: float = 1) -> None:
        """Count something with these values of the labels."""
        with self._lock:
            self._counts[values] = self._counts.get(values, 0) + by

    def samples(self) -> Iterator[Sample]:
        """One for each combination of values that there was."""
        with self._lock:
            counts = sorted(self._counts.items())
        yield from (("", self.metric.labelled(values), count) for values, count in counts)


@dataclass
class Histogram:
    """How often, and how long. Of each combination of labels the counts by bucket, and the sum."""

    metric: Metric
    bounds: tuple[float, ...] = SECONDS
    kind: str = "histogram"
    _lock: Lock = field(default_factory=Lock, repr=False)
    _buckets: dict[Values, list[int]] = field(default_factory=dict)
    _sums: dict[Values, float] = field(default_factory=dict)

    def observe(self, seconds: float, *values: str) -> None:
        """Note one duration."""
        with self._lock:
            buckets = self._buckets.setdefault(values, [0] * (len(self.bounds) + 1))
            buckets[bisect_left(self.bounds, seconds)] += 1
            self._sums[values] = self._sums.get(values, 0.0) + seconds

    def samples(self) -> Iterator[Sample]:
        """Buckets that include the smaller ones, the sum and the count."""
        with self._lock:
            found = [(values, list(self._buckets[values]), self._sums[values]) for values in sorted(self._buckets)]
        for values, buckets, total in found:
            up_to = list(accumulate(buckets))
            for bound, count in zip((*map(_number, self.bounds), "+Inf"), up_to, strict=True):
                yield "_bucket", self.metric.labelled(values, le=bound), count
            yield "_sum", self.metric.labelled(values), total
            yield "_count", self.metric.labelled(values), up_to[-1]


@dataclass
class Gauge:
    """What is now, read when it is asked for."""

    metric: Metric
    read: Callable[[], Mapping[Values, float]]
    kind: str = "gauge"

    def samples(self) -> Iterator[Sample]:
        """One for each combination of values that there is."""
        yield from (("", self.metric.labelled(values), number) for values, number in sorted(self.read().items()))


def exposition(metrics: Iterable[Counter | Histogram | Gauge]) -> str:
    """All of them as Prometheus reads them."""
    return "".join(line for each in metrics for line in _lines(each))


def _lines(each: Counter | Histogram | Gauge) -> Iterator[str]:
    name = each.metric.name
    yield f"# HELP {name} {each.metric.about}\n"
    yield f"# TYPE {name} {each.kind}\n"
    yield from (f"{name}{end}{labels} {_number(value)}\n" for end, labels, value in each.samples())


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
