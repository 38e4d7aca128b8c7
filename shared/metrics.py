"""Figures of a service: declared here, counted and written by `prometheus-client`.

Every service is one process, so what it counts is in its memory. Nothing goes into the library's own registry, which
is the whole process': who declares a figure hands it on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import prometheus_client
from prometheus_client import disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of durations."""

Values = tuple[str, ...]
"""Of the labels, in their order."""

Families = Iterable[prometheus_client.Metric]


@dataclass(frozen=True)
class Metric:
    """What a figure is called and means. Names follow Prometheus' conventions: the unit, and `_total` for counters."""

    name: str
    about: str
    labels: tuple[str, ...] = ()


class Counter(Collector):
    """Grows while the process lives."""

    def __init__(self, metric: Metric) -> None:
        self._kept = prometheus_client.Counter(metric.name, metric.about, metric.labels, registry=None)

    def add(self, *values: str, by: float = 1) -> None:
        """Count something with these values of the labels. Raises ValueError where they are more or fewer."""
        (self._kept.labels(*values) if values else self._kept).inc(by)

    def collect(self) -> Families:
        """One sample for each combination of values that there was."""
        return self._kept.collect()


class Histogram(Collector):
    """How often, and how long."""

    def __init__(self, metric: Metric, bounds: tuple[float, ...] = SECONDS) -> None:
        name, labels = metric.name, metric.labels
        self._kept = prometheus_client.Histogram(name, metric.about, labels, registry=None, buckets=bounds)

    def observe(self, seconds: float, *values: str) -> None:
        """Note one duration. Raises ValueError for more or fewer values than labels."""
        (self._kept.labels(*values) if values else self._kept).observe(seconds)

    def collect(self) -> Families:
        """Of each combination of values the buckets, the sum and the count."""
        return self._kept.collect()


@dataclass(frozen=True)
class Gauge(Collector):
    """What is now, read when it is asked for."""

    metric: Metric
    read: Callable[[], Mapping[Values, float]]

    def collect(self) -> Iterator[prometheus_client.Metric]:
        """One sample for each combination of values that there is."""
        family = GaugeMetricFamily(self.metric.name, self.metric.about, labels=self.metric.labels)
        for values, number in sorted(self.read().items()):
            family.add_metric(values, number)
        yield family


Figure = Counter | Histogram | Gauge


@dataclass(frozen=True)
class _Together(Collector):
    figures: Iterable[Figure]

    def collect(self) -> Iterator[prometheus_client.Metric]:
        for figure in self.figures:
            yield from figure.collect()


def exposition(figures: Iterable[Figure]) -> str:
    """All of them in Prometheus' text format 0.0.4."""
    # When a series began is no figure of ours, and would be one more line for each.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    return generate_latest(_Together(figures)).decode()
