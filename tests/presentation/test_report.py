"""The report as a browser would read it."""

import json
from datetime import timedelta
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest

from services.embedded.presentation.attempts import rows_of, stage_totals, waiting_steps
from services.embedded.presentation.charts import thinned
from services.embedded.presentation.losses import Calculation, Curve, CurveKind, CurvePoint
from services.embedded.presentation.read_losses import read_losses
from services.embedded.presentation.report import RunFacts, render_report, write_report
from services.embedded.presentation.speedup import speedup_of

VOID = {"meta", "br", "img", "link", "input", "hr"}
ADDRESSES = {"src", "href", "srcset", "data", "poster", "action", "xlink:href"}


class Page(HTMLParser):
    """Texts, addresses and figures of a page; fails on tags that are closed in the wrong order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.text, self.addresses, self.figures, self.ids, self.tags = [], [], [], {}, [], []
        self._figure, self.script = None, ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self.addresses += [value for name, value in attrs if name in ADDRESSES]
        self.ids += [found["id"]] if "id" in found else []
        self._figure = found.get("data-figure")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self._figure and self.open[-1] == "script":
            self.figures[self._figure] = json.loads(data)
        elif self.open and self.open[-1] == "script":
            self.script += data
        elif self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture
def attempts(bar):
    return [
        bar("write-input-files", "worker-1", 1, 1, 4, queued=0),
        bar("generate-losses-chunk-0", "worker-1", 1, 5, 9, queued=4),
        bar("generate-losses-chunk-1", "worker-1", 2, 5, 6, outcome="lost", queued=4),
        bar("generate-losses-chunk-1", "worker-2", 10, 8, 12, queued=6),
        bar("record-losses-files", "worker-monitor", None, 12, 12.5),
    ]


@pytest.fixture
def facts(attempts):
    start = attempts[0].start
    return RunFacts("demo", "OasisLMF PiWind 1", "a-run-uuid", 1, 2, start, start + timedelta(seconds=95), "GBP")


@pytest.fixture
def losses(full_outputs):
    return read_losses(full_outputs.folder)


def test_the_page_is_well_formed_and_shows_facts_slugs_and_losses(facts, attempts, losses):
    page = Page(render_report(facts, attempts, losses))

    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    for part in ("Lossline", "demo", "OasisLMF PiWind 1", "a-run-uuid", "1 min 35 s", "Losses are in GBP", "2,500"):
        assert part in page.words
    for attempt in attempts:
        assert attempt.slug in page.words
        assert attempt.row in page.words


def test_nothing_is_loaded_from_a_network(facts, attempts, losses):
    html = render_report(facts, attempts, losses)
    page = Page(html)

    assert page.addresses == []
    assert "@import" not in html
    assert not any(tag in ("link", "iframe", "img", "object") for tag, _ in page.tags)
    (policy,) = [found["content"] for tag, found in page.tags if found.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_plotly_is_inlined_once(facts, attempts, losses):
    page = Page(render_report(facts, attempts, losses))

    assert page.script.count("plotly.js v") == 1
    assert "Plotly.newPlot(place" in page.script


def test_names_are_escaped_in_page_and_charts(bar, facts, losses, full_outputs):
    evil = "</script><script>alert(1)</script>&\"'"
    named = RunFacts(evil, evil, evil, 1, 1, facts.started, facts.finished, evil)

    page = Page(render_report(named, [bar(evil, evil, 1, 0, 1, outcome=evil)], losses))

    assert page.open == []
    assert "alert(1)" not in page.script
    assert evil in page.words
    labels = json.dumps(page.figures["timeline"])
    assert "<script>" not in labels
    assert "&lt;script&gt;alert(1)" in labels


def test_figures_are_valid_plotly(facts, attempts, losses):
    page = Page(render_report(facts, attempts, losses))

    assert set(page.figures) == {"timeline", "curve-oep", "curve-aep"}
    for figure in page.figures.values():
        go.Figure(figure)  # raises on a property that plotly does not have


def test_the_timeline_has_a_bar_per_attempt_in_its_slot(facts, attempts, losses):
    figure = Page(render_report(facts, attempts, losses)).figures["timeline"]

    chunks = next(trace for trace in figure["data"] if trace["name"] == "generate-losses-chunk")
    assert list(zip(chunks["y"], chunks["base"], chunks["x"], strict=True)) == [
        ("worker-1 slot 1", 5, 4),
        ("worker-1 slot 2", 5, 1),
        ("worker-2 slot 10", 8, 4),
    ]
    assert chunks["marker"]["pattern"]["shape"] == ["", "/", ""]
    assert "waited 2.0 s for a slot" in chunks["hovertext"][2]


def test_curves_hold_the_losses_on_a_logarithmic_axis(facts, attempts, losses):
    figure = Page(render_report(facts, attempts, losses)).figures["curve-aep"]

    assert figure["layout"]["xaxis"]["type"] == "log"
    assert [trace["name"] for trace in figure["data"]] == ["Ground-up", "Insured", "Net of reinsurance"]
    assert (figure["data"][1]["x"], figure["data"][1]["y"]) == ([10, 100, 250], [50, 500, 1250])


def test_every_chart_has_words_for_those_who_do_not_see_it(facts, attempts, losses):
    page = Page(render_report(facts, attempts, losses))

    labels = {found["id"]: found["aria-label"] for _, found in page.tags if found.get("role") == "img"}
    assert set(labels) == set(page.figures)
    assert all("table below" in label or "table of attempts below" in label for label in labels.values())


def test_a_run_without_attempts_or_losses_says_so_and_has_no_charts(facts, outputs, tmp_path):
    path = write_report(tmp_path / "report.html", facts, [], read_losses(outputs.folder))

    page = Page(path.read_text(encoding="utf-8"))
    assert page.figures == {}
    assert "The outputs hold no average annual losses." in page.words
    assert "Net of reinsurance: not in the outputs" in page.words


def speedup_answer(**best):
    """As the API answers, with the best chunks where they are known."""
    none = {"lookup_chunks": None, "analysis_chunks": None, "wall_seconds": None}
    points = [(1, 2, 90.5), (2, 4, 60.0), (4, 8, 52.0)]
    return {
        "workers": 2,
        "slots_per_worker": 2,
        "wall_seconds": 61.0,
        "serial_seconds": 30.0,
        "parallel_seconds": 28.0,
        "waiting_seconds": 3.0,
        "serial_fraction": 0.21,
        "critical_path": {"seconds": 45.0},
        "predicted": [
            {"workers": workers, "slots": slots, "wall_seconds": wall, "best": none | best}
            for workers, slots, wall in points
        ],
        "best": none
        | best
        | {
            "unknown": {} if best else {"analysis_chunks": "no <event> set"},
            "assumed": ["analysis_chunks"],
        },
    }


def test_what_more_workers_would_bring_is_drawn_told_and_tabled(facts, attempts, losses):
    best = {"lookup_chunks": 3, "analysis_chunks": 7, "wall_seconds": 41.0}
    page = Page(render_report(facts, attempts, losses, speedup_of(speedup_answer(**best))))

    assert page.open == []
    figure = page.figures["speedup"]
    go.Figure(figure)
    lines = {trace["name"]: (trace["x"], trace["y"]) for trace in figure["data"]}
    assert lines == {
        "chunks as in this run": ([1, 2, 4], [90.5, 60.0, 52.0]),
        "best number of chunks": ([1, 2, 4], [41.0] * 3),
        "critical path": ([1, 4], [45.0, 45.0]),
        "this run, measured": ([2], [61.0]),
    }
    assert "2 workers with 2 slots each, the run took 1 min 01 s: 30 s in serial sub-tasks, 21% of all" in page.words
    assert "1 2 1 min 30 s 3 7 41 s" in page.words
    assert "Other numbers of chunks" not in page.words
    assert "the cost of a chunk's start is an assumption" in page.words


def test_chunks_of_unknown_cost_are_left_out_with_the_reason(facts, attempts, losses):
    page = Page(render_report(facts, attempts, losses, speedup_of(speedup_answer())))

    assert "best number of chunks" not in {trace["name"] for trace in page.figures["speedup"]["data"]}
    assert "Best loss chunks" not in page.words
    assert "Other numbers of chunks: no <event> set." in page.words


def test_unknown_queueing_times_leave_the_waiting_chart_out(facts, bar, losses):
    page = Page(render_report(facts, [bar("collect-keys", "worker-1", 1, 0, 1)], losses))

    assert "yaxis2" not in page.figures["timeline"]["layout"]
    assert "grey area" not in page.words


def test_stage_totals_follow_the_plan_and_count_retries(attempts):
    write, chunks, record = stage_totals(reversed(attempts))

    assert (write.stage, record.stage) == ("write-input-files", "record-losses-files")
    assert (chunks.sub_tasks, chunks.attempts, chunks.span, chunks.work, chunks.longest) == (2, 3, 7, 9, 4)


def test_waiting_is_counted_as_a_step_function(attempts):
    steps = [(step.second, step.waiting) for step in waiting_steps(attempts)]

    assert steps == [(0, 1), (1, 0), (4, 2), (5, 0), (6, 1), (8, 0)]


def test_slots_are_in_the_order_of_their_numbers(bar):
    bars = [bar("a", "worker-1", slot, 0, 1) for slot in (10, 9, 1)]

    assert rows_of(bars) == ["worker-1 slot 1", "worker-1 slot 9", "worker-1 slot 10"]


def test_long_curves_are_thinned_and_keep_their_ends():
    points = tuple(CurvePoint(10000 / rank, 1.0 / rank) for rank in range(10000, 0, -1))

    thin = thinned(Curve(CurveKind.OEP, Calculation.FULL_UNCERTAINTY, points), most=100).points

    assert len(thin) <= 100
    assert (thin[0], thin[-1]) == (points[0], points[-1])
    assert list(thin) == sorted(thin, key=lambda point: point.return_period)
