"""The chart of the wall time against the number of workers."""

from typing import Any

from .charts import Figure, axis, layout_of
from .formats import duration
from .speedup import Speedup

_AS_IT_WAS, _BEST, _FLOOR = "#14799c", "#e4713a", "#94a3b8"


def speedup_chart(speedup: Speedup) -> Figure:
    """Lines of predictions, the measured run as a diamond, and the critical path that no worker shortens."""
    workers = [point.workers for point in speedup.points]
    data = [
        _line("chunks as in this run", workers, [point.seconds for point in speedup.points], _AS_IT_WAS),
        _floor(workers, speedup.critical_path),
        _measured(speedup),
    ]
    if speedup.knows_better:
        best = [point.best_seconds for point in speedup.points]
        data.insert(1, _line("best number of chunks", workers, best, _BEST))
    ticks = {"tickvals": workers, "ticktext": [str(each) for each in workers], "tickangle": 0}
    layout = layout_of(
        height=360,
        hovermode="x unified",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        margin={"l": 10, "r": 16, "t": 20, "b": 45},
        xaxis=axis(title={"text": "workers"}, type="log", **ticks),
        yaxis=axis(title={"text": "wall time, seconds"}, rangemode="tozero", automargin=True),
    )
    return {"data": data, "layout": layout}


def _line(name: str, workers: list[int], seconds: list[Any], colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": workers,
        "y": seconds,
        "line": {"color": colour, "width": 2.5},
        "marker": {"size": 6},
        "text": [None if each is None else duration(each) for each in seconds],
        "hovertemplate": "%{text}",
    }


def _floor(workers: list[int], seconds: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "critical path",
        "x": [workers[0], workers[-1]],
        "y": [seconds, seconds],
        "line": {"color": _FLOOR, "width": 1.5, "dash": "dash"},
        "hoverinfo": "skip",
    }


def _measured(speedup: Speedup) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "this run, measured",
        "x": [speedup.workers],
        "y": [speedup.wall],
        "marker": {"size": 11, "symbol": "diamond", "color": "#334155"},
        "text": [duration(speedup.wall)],
        "hovertemplate": "%{text}",
    }
