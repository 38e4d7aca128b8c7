"""The text that Prometheus reads."""

import pytest

from shared.metrics import Counter, Gauge, Histogram, Metric, exposition

SEEN = Metric("lossline_seen_total", "What was seen.", ("what",))
NOW = Metric("lossline_now", "What is now.")
LASTED = Metric("lossline_lasted_seconds", "How long it lasted.", ("what",))


def test_a_counter_counts_by_its_labels():
    seen = Counter(SEEN)
    seen.add("house")
    seen.add("tree")
    seen.add("tree", by=2)

    assert exposition([seen]) == (
        "# HELP lossline_seen_total What was seen.\n"
        "# TYPE lossline_seen_total counter\n"
        'lossline_seen_total{what="house"} 1.0\n'
        'lossline_seen_total{what="tree"} 3.0\n'
    )


def test_a_gauge_is_read_when_it_is_asked_for():
    values = {(): 0.5}
    gauge = Gauge(NOW, lambda: values)
    assert "lossline_now 0.5\n" in exposition([gauge])

    values[()] = 7

    assert "lossline_now 7.0\n" in exposition([gauge])


def test_a_bucket_holds_what_the_smaller_ones_hold():
    lasted = Histogram(LASTED, bounds=(0.5, 2.0))
    for seconds in (0.25, 0.5, 1.0, 4.0):
        lasted.observe(seconds, "a")

    assert exposition([lasted]).splitlines()[2:] == [
        'lossline_lasted_seconds_bucket{le="0.5",what="a"} 2.0',
        'lossline_lasted_seconds_bucket{le="2.0",what="a"} 3.0',
        'lossline_lasted_seconds_bucket{le="+Inf",what="a"} 4.0',
        'lossline_lasted_seconds_count{what="a"} 4.0',
        'lossline_lasted_seconds_sum{what="a"} 5.75',
    ]


def test_labels_cannot_break_the_text():
    seen = Counter(SEEN)
    seen.add('a"b\\c\nd')

    assert exposition([seen]).splitlines()[2] == r'lossline_seen_total{what="a\"b\\c\nd"} 1.0'


def test_labels_and_values_must_fit():
    for values in ((), ("tree", "house")):
        with pytest.raises(ValueError, match="label"):
            Counter(SEEN).add(*values)
