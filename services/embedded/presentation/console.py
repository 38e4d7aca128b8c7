"""Live progress and loss tables in a terminal; plain lines without control codes where there is no terminal."""

import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .formats import amount, count, duration, years
from .losses import CurveKind, Losses
from .progress import Line, Snapshot, changes, headline, lines, read_snapshot, waiting_sentence

_COLOURS = {"COMPLETED": "green", "STARTED": "cyan", "QUEUED": "yellow", "ERROR": "bold red", "CANCELLED": "magenta"}
_REMINDER = timedelta(seconds=30)
_HEAD_LINES = 4  # headline, bar, what is waited for, and the cursor's line
_BAR_WIDTH = 60
_IDS_SHOWN = 2  # of a perspective; more columns do not fit


def utc_now() -> datetime:
    """The time of day, aware of its zone as the API's times are."""
    return datetime.now(UTC)


class LiveProgress:
    """Shows successive snapshots of an analysis; a context manager.

    On a terminal it is a display that is redrawn in place several times a second, so that durations move between
    snapshots. Elsewhere it prints a line for every status that changed, and one every half minute while it waits.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stdout)
        redrawn = self.console.is_terminal and not self.console.is_dumb_terminal
        self._plain = None if redrawn else PlainProgress(self.console)
        self._snapshot: Snapshot | None = None
        self._waiting: tuple[str, datetime] | None = None
        self._live = Live(console=self.console, get_renderable=self._render, auto_refresh=True)

    def __enter__(self) -> Self:
        if self._plain is None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting = None
        if self._plain is None:
            self._live.stop()

    def update(
        self,
        analysis: Mapping[str, Any],
        sub_tasks: Iterable[Mapping[str, Any]],
        workers: Mapping[str, str] | None = None,
    ) -> None:
        """Show the answers of `analyses/{id}/` and its `sub_task_list/`; `workers` maps slugs to names."""
        snapshot = read_snapshot(analysis, sub_tasks, workers)
        self._waiting = None
        self._snapshot = snapshot
        if self._plain is not None:
            self._plain.show(snapshot)

    def waiting(self, message: str, since: datetime) -> None:
        """Say what is waited for and since when; ends with the next `update`."""
        self._waiting = (message, since)
        if self._plain is not None:
            self._plain.wait(message, since)

    def _render(self) -> RenderableType:
        snapshot, waiting, now = self._snapshot, self._waiting, utc_now()
        parts: list[RenderableType] = [] if snapshot is None else [*render_progress(snapshot, now, self.console.height)]
        if waiting is not None:
            message, since = waiting
            parts.append(Text(waiting_sentence(message, (now - since).total_seconds()), style="yellow"))
        return Group(*parts)


class PlainProgress:
    """Progress as lines of a log."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._snapshot: Snapshot | None = None
        self._said: tuple[str, datetime] | None = None

    def show(self, snapshot: Snapshot) -> None:
        """Print what changed since the last snapshot."""
        for sentence in changes(self._snapshot, snapshot, utc_now()):
            self._print(sentence)
        self._snapshot, self._said = snapshot, None

    def wait(self, message: str, since: datetime) -> None:
        """Print what is waited for, unless it was said within the last half minute."""
        now = utc_now()
        if self._said is None or self._said[0] != message or now - self._said[1] >= _REMINDER:
            self._said = (message, now)
            self._print(waiting_sentence(message, (now - since).total_seconds()))

    def _print(self, sentence: str) -> None:
        self.console.print(Text(sentence), soft_wrap=True)


def render_progress(snapshot: Snapshot, now: datetime, height: int) -> tuple[Text, Table, Table]:
    """Headline, overall bar, and as many lines as a terminal of `height` lines has room for."""
    total = max(len(snapshot.sub_tasks), 1)
    bar = Table.grid()  # a bar alone does not end its line
    bar.add_row(ProgressBar(total, snapshot.completed, width=_BAR_WIDTH, complete_style="cyan", finished_style="green"))
    table = Table(box=None, pad_edge=False, show_header=False)
    for name in ("sub-task", "state", "worker", "retries"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    table.add_column("duration", justify="right", no_wrap=True)
    for line in lines(snapshot, now, height - _HEAD_LINES):
        table.add_row(*_cells(line))
    return Text(headline(snapshot, now), style="bold"), bar, table


def _cells(line: Line) -> tuple[Text, ...]:
    retries = count(line.retries, "retry") if line.retries else ""
    seconds = "" if line.seconds is None else duration(line.seconds)
    state = Text(line.state, style=_COLOURS.get(line.status, "dim"))
    return Text(line.label), state, Text(line.worker), Text(retries, style="yellow"), Text(seconds)


def render_losses(losses: Losses) -> RenderableType:
    """Average annual losses, losses by return period, and what the outputs do not hold."""
    parts = _averages(losses)
    for kind in CurveKind:
        parts += _curves(losses, kind)
    return Group(*parts, *(Text(sentence, style="yellow") for sentence in losses.missing))


def _averages(losses: Losses) -> list[RenderableType]:
    table = Table()
    table.add_column("Perspective")
    table.add_column("Mean", justify="right")
    table.add_column("Standard deviation", justify="right")
    table.add_column("Taken over")
    for found in losses.perspectives:
        if (aal := found.aal) is not None:
            table.add_row(found.perspective.words, amount(aal.mean), amount(aal.std), aal.basis.words)
    return [_title("Average annual loss"), table] if table.row_count else []


def _curves(losses: Losses, kind: CurveKind) -> list[RenderableType]:
    shown = losses.curves(kind, _IDS_SHOWN)
    periods = losses.shown_return_periods()
    if not shown or not periods:
        return []
    calculations = ", ".join(sorted({curve.calculation.words for _, _, curve in shown}))
    table = Table()
    table.add_column("Years", justify="right")
    for title, _, _ in shown:
        table.add_column(Text(title), justify="right")
    for period in periods:
        table.add_row(years(period), *(amount(curve.loss_at(period)) for _, _, curve in shown))
    hidden = len(losses.curves(kind)) - len(shown)
    notes = [Text(f"{count(hidden, 'more curve')} in the outputs", style="dim")] if hidden else []
    return [_title(f"{kind.words} by return period ({calculations})"), table, *notes]


def _title(words: str) -> Text:
    """A line of its own: the title of a rich table is wrapped at the table's width."""
    return Text(f"\n{words}", style="bold")
