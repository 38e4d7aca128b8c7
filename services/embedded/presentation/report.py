"""The report of a run: one HTML file with its charts and tables that needs no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from .attempts import AttemptBar, origin, stage_totals
from .charts import Figure, exceedance, gantt, stage_colours
from .formats import amount, count, duration, years
from .losses import CurveKind, Losses, TitledCurve
from .speedup import Speedup
from .speedup_chart import speedup_chart

TEMPLATE = "report.html.j2"
_IDS_SHOWN = 4  # of a perspective; more curves than these hide each other


@dataclass(frozen=True)
class RunFacts:
    """The facts at the head of the report; the times are aware, `currency` is the code of the exposure's currency."""

    name: str
    model: str
    run_uuid: str
    lookup_chunks: int
    loss_chunks: int
    started: datetime
    finished: datetime
    currency: str | None = None

    @property
    def wall_seconds(self) -> float:
        """Seconds from the request to the end."""
        return (self.finished - self.started).total_seconds()


@dataclass(frozen=True)
class _Chart:
    """A figure with its place in the page and the words for those who do not see it."""

    id: str
    title: str
    description: str
    figure: Figure


def render_report(
    facts: RunFacts, attempts: Sequence[AttemptBar], losses: Losses, speedup: Speedup | None = None
) -> str:
    """The HTML of the report; `attempts` may be empty, then the page has no chart of them. So may `speedup`."""
    ordered = sorted(attempts, key=lambda bar: (bar.start, bar.slug))
    shown = {kind: losses.curves(kind, _IDS_SHOWN) for kind in CurveKind}
    return _template().render(
        facts=facts,
        attempts=ordered,
        zero=origin(ordered) if ordered else facts.started,
        slots=len({bar.row for bar in ordered}),
        colours=stage_colours(ordered),
        totals=stage_totals(ordered),
        losses=losses,
        tables=[(kind, curves) for kind, curves in shown.items() if curves],
        hidden=sum(len(losses.curves(kind)) - len(curves) for kind, curves in shown.items()),
        timeline=_timeline(ordered),
        curves=_curve_charts(shown),
        speedup=speedup,
        speedup_chart=_speedup_chart(speedup),
        plotly_js=Markup(get_plotlyjs()),  # noqa: S704  # the library itself, from the package
    )


def write_report(
    path: Path, facts: RunFacts, attempts: Sequence[AttemptBar], losses: Losses, speedup: Speedup | None = None
) -> Path:
    """Write the report to `path` and return it."""
    path.write_text(render_report(facts, attempts, losses, speedup), encoding="utf-8")
    return path


def _timeline(attempts: Sequence[AttemptBar]) -> _Chart | None:
    if not attempts:
        return None
    words = (
        f"{count(len(attempts), 'attempt')} on a time axis, one row per slot; the table of attempts below has the same."
    )
    return _Chart("timeline", "Timeline of sub-tasks", words, gantt(attempts))


def _speedup_chart(speedup: Speedup | None) -> _Chart | None:
    if speedup is None:
        return None
    words = "Predicted wall time against the number of workers; the table below has the numbers."
    return _Chart("speedup", "With more workers", words, speedup_chart(speedup))


def _curve_charts(shown: Mapping[CurveKind, Sequence[TitledCurve]]) -> list[_Chart]:
    return [
        _Chart(
            id=f"curve-{kind.name.lower()}",
            title=kind.words,
            description=f"{kind.words} against return period, logarithmic axis; the table below has the numbers.",
            figure=exceedance(curves),
        )
        for kind, curves in shown.items()
        if curves
    ]


def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"duration": duration, "amount": amount, "years": years}
    environment.globals["count"] = count
    return environment.from_string(files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8"))
