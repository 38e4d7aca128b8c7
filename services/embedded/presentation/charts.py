"""The charts of the report as plotly figures: dictionaries of `data` and `layout`, for plotly.js to draw.

Plotly reads texts as markup, so every name in them is escaped here.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from itertools import cycle
from typing import Any

from .attempts import AttemptBar, origin, rows_of, waiting_steps
from .formats import duration
from .losses import Curve, Perspective, TitledCurve
from .stages import STAGES, stage_order

Figure = dict[str, Any]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_INK, _GRID, _FAILURE = "#334155", "#e2e8f0", "#b91c1c"
# Cool colours for the generation of inputs, warm ones for losses; strong where the time goes, pale for upkeep.
_STAGE_COLOURS = dict(
    zip(
        STAGES,
        (
            *("#14799c", "#e4713a"),
            *("#93b7d1", "#5e93ba", "#14799c", "#4fb3a5", "#1d5f8a", "#b4cbd9", "#d3dfe8"),
            *("#e9c46a", "#d9a441", "#e4713a", "#b23a48", "#d8b4a0", "#ecdccf"),
        ),
        strict=True,
    )
)
_OTHER_STAGES = ("#7c6fb0", "#a78bbf", "#5f7a61", "#8a8f98")
_PERSPECTIVE_COLOURS = {
    Perspective.GROUND_UP: "#475569",
    Perspective.INSURED: "#14799c",
    Perspective.REINSURED: "#e4713a",
}
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_POINTS_DRAWN = 400
_ROW_PIXELS, _GANTT_MARGIN, _WAITING_PIXELS = 36, 60, 90


def gantt(bars: Sequence[AttemptBar]) -> Figure:
    """Attempts as bars, a row per slot, and beneath how many sub-tasks waited for one. Needs one attempt at least."""
    rows, steps = rows_of(bars), waiting_steps(bars)
    height = _GANTT_MARGIN + _ROW_PIXELS * len(rows) + (_WAITING_PIXELS if steps else 0)
    share = _WAITING_PIXELS / height if steps else 0.0
    data = [_stage_trace(stage, colour, bars) for stage, colour in stage_colours(bars).items()]
    layout = layout_of(
        height=height,
        barmode="overlay",
        bargap=0.25,
        hovermode="closest",
        showlegend=False,
        margin={"l": 10, "r": 10, "t": 10, "b": _GANTT_MARGIN - 10},
        xaxis=axis(
            title={"text": "seconds since the run was requested"}, rangemode="tozero", anchor="y2" if steps else "y"
        ),
        yaxis=axis(
            domain=[share * 1.35, 1],
            automargin=True,
            categoryorder="array",
            categoryarray=[escape(row) for row in reversed(rows)],
            showgrid=False,
        ),
    )
    if steps:
        data.append(_waiting_trace(bars))
        layout["yaxis2"] = axis(
            domain=[0, share], automargin=True, rangemode="tozero", nticks=3, title={"text": "waiting"}
        )
    return {"data": data, "layout": layout}


def stage_colours(bars: Iterable[AttemptBar]) -> dict[str, str]:
    """The colour of every stage that has an attempt, in the order of the plan."""
    stages = sorted({bar.stage for bar in bars}, key=stage_order)
    others = cycle(_OTHER_STAGES)
    return {stage: _STAGE_COLOURS.get(stage) or next(others) for stage in stages}


def exceedance(curves: Sequence[TitledCurve]) -> Figure:
    """Curves of one kind, loss against return period on a logarithmic axis."""
    seen: dict[Perspective, int] = {}
    data = []
    for title, perspective, curve in curves:
        place = seen[perspective] = seen.get(perspective, -1) + 1
        data.append(_curve_trace(title, perspective, curve, _DASHES[place % len(_DASHES)]))
    ticks = [2, 5, 10, 25, 50, 100, 250, 1000, 5000, 20_000, 100_000]
    layout = layout_of(
        height=400,
        hovermode="x unified",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 10, "r": 16, "t": 20, "b": 45},
        xaxis=axis(
            title={"text": "return period, years"},
            type="log",
            tickvals=ticks,
            ticktext=[f"{years:,}" for years in ticks],
            tickangle=0,
            unifiedhovertitle={"text": "%{x:,.0f} years"},
        ),
        yaxis=axis(title={"text": "loss"}, rangemode="tozero", tickformat="~s", automargin=True),
    )
    return {"data": data, "layout": layout}


def thinned(curve: Curve, most: int = _POINTS_DRAWN) -> Curve:
    """At most `most` points, evenly spaced on the logarithmic axis; the first and the last stay."""
    points = curve.points
    if len(points) <= most:
        return curve
    low, high = math.log(points[0].return_period), math.log(points[-1].return_period)
    kept = {int((math.log(point.return_period) - low) / (high - low) * (most - 2)): point for point in points}
    return Curve(
        curve.kind, curve.calculation, (points[0], *(kept[cell] for cell in sorted(kept) if kept[cell] != points[0]))
    )


def _stage_trace(stage: str, colour: str, bars: Sequence[AttemptBar]) -> dict[str, Any]:
    own = [bar for bar in bars if bar.stage == stage]
    zero = origin(bars)
    completed = [bar.outcome == "completed" for bar in own]
    return {
        "type": "bar",
        "orientation": "h",
        "name": escape(stage),
        "y": [escape(bar.row) for bar in own],
        "base": [(bar.start - zero).total_seconds() for bar in own],
        "x": [bar.seconds for bar in own],
        "hovertext": [_hover(bar) for bar in own],
        "hoverinfo": "text",
        "marker": {
            "color": colour,
            "line": {"color": ["#ffffff" if fine else _FAILURE for fine in completed], "width": 1},
            "pattern": {"shape": ["" if fine else "/" for fine in completed], "fgcolor": _FAILURE, "size": 6},
        },
    }


def _hover(bar: AttemptBar) -> str:
    waited = "" if bar.waited is None else f"<br>waited {duration(bar.waited)} for a slot"
    return (
        f"<b>{escape(bar.slug)}</b><br>{escape(bar.row)}<br>{escape(bar.outcome)} after {duration(bar.seconds)}{waited}"
    )


def _waiting_trace(bars: Sequence[AttemptBar]) -> dict[str, Any]:
    steps = waiting_steps(bars)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "waiting for a slot",
        "x": [step.second for step in steps],
        "y": [step.waiting for step in steps],
        "yaxis": "y2",
        "line": {"shape": "hv", "color": "#94a3b8", "width": 1},
        "fill": "tozeroy",
        "fillcolor": "rgba(148,163,184,0.25)",
        "showlegend": False,
        "hovertemplate": "%{y} waiting for a slot<extra></extra>",
    }


def _curve_trace(title: str, perspective: Perspective, curve: Curve, dash: str) -> dict[str, Any]:
    points = thinned(curve).points
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(points) <= 30 else "lines",
        "name": escape(title),
        "x": [point.return_period for point in points],
        "y": [point.loss for point in points],
        "line": {"color": _PERSPECTIVE_COLOURS[perspective], "width": 2.5, "dash": dash},
        "marker": {"size": 6},
        "hovertemplate": "%{y:,.0f}",
    }


def axis(**own: Any) -> dict[str, Any]:
    """An axis in the look of the report."""
    return {"gridcolor": _GRID, "zeroline": False, "linecolor": "#cbd5e1", "fixedrange": False, **own}


def layout_of(**own: Any) -> dict[str, Any]:
    """A layout in the look of the report."""
    font = {"family": FONT, "size": 13, "color": _INK}
    hover = {"bgcolor": "#ffffff", "bordercolor": "#cbd5e1", "font": font, "align": "left"}
    return {
        "font": font,
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "hoverlabel": hover,
        "autosize": True,
        **own,
    }
