"""The results of `benchmarks.kernels` as tables, with the goals of each."""

from collections.abc import Iterable
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.kernel_results import PlatformRun, Results, Stage, Steps

START_MS, WARM_MIB, DEMO_SECONDS = 15.0, 500.0, 20.0
INPUT_GOALS = {"PiWind, 10 locations": 0.4}
LOSS_GOALS = {
    ("PiWind, 10 locations", "v1"): 0.15,
    ("PiWind, 10 locations", "v2, 2 chunk(s)"): 0.20,
    ("PiWind, 12598 locations", "v2, 2 chunk(s)"): 0.70,
    ("PiWind, 12598 locations", "v2, 8 chunk(s)"): 0.85,
}
"""By case and shape: the platform's time over the command's."""


def show(results: Results, console: Console, *, spans: bool) -> None:
    """Print what was measured, and nothing of what was not."""
    if results.stages:
        console.print(_stages(results.stages))
    if results.steps:
        console.print(_steps(results.steps))
    if results.runs:
        console.print(_runs(results.runs))
    for run in results.runs if spans else ():
        console.print(_spans(run))
    _show_numbers(results, console)
    console.print(f"Load average {results.load_before:.1f} before, {results.load_after:.1f} after; compare ratios.")


def _show_numbers(results: Results, console: Console) -> None:
    if results.start_ms is not None:
        console.print(f"A program's start and end: {results.start_ms:.1f} ms warm (goal ≤ {START_MS:g}), ", end="")
        console.print(f"{results.plain_start_ms:.0f} ms plain.")
        console.print(f"The warm process: {results.warm_process_mib:.0f} MiB (goal ≤ {WARM_MIB:g}).")
    if results.demo is not None:
        console.print(f"The demo, second run: {results.demo:.1f} s (goal ≤ {DEMO_SECONDS:g}).")


def _stages(stages: Iterable[Stage]) -> Table:
    table = _table("Kernel stage", "case", "processes", "plain s", "warm s", "ratio", "outputs")
    for each in stages:
        seconds = f"{median(each.plain):.2f}", f"{median(each.warm):.2f}", f"{each.ratio:.3f}"
        table.add_row(each.case, str(each.processes), *seconds, _outputs(each.different, "the same bytes"))
    return table


def _steps(steps: Iterable[Steps]) -> Table:
    table = _table("Steps of a v2 run, without messages", "case", "chunks", "slots", "steps s", "oasislmf s", "ratio")
    for each in steps:
        row = f"{each.steps:.2f}", f"{each.command:.2f}", f"{each.steps / each.command:.3f}"
        table.add_row(each.case, str(each.chunks), str(each.slots), *row)
    return table


def _runs(runs: Iterable[PlatformRun]) -> Table:
    phases = (f"{phase}{what}" for phase in ("inputs", "losses") for what in (" s", ": oasislmf s", ": ratio"))
    table = _table("The whole platform", "case", "run", *phases, "outputs")
    for each in runs:
        inputs = _phase(each.inputs, each.command_inputs, INPUT_GOALS.get(each.case))
        losses = _phase(each.losses, each.command_losses, LOSS_GOALS.get((each.case, each.shape)))
        table.add_row(each.case, each.shape, *inputs, *losses, _outputs(each.different, "the same"))
    return table


def _phase(seconds: list[float], command: float, goal: float | None) -> tuple[str, str, str]:
    ratio = f"{median(seconds) / command:.3f}"
    return f"{median(seconds):.2f}", f"{command:.2f}", f"{ratio} (≤ {goal:g})" if goal else ratio


def _spans(run: PlatformRun) -> Table:
    """Where the time of a run went."""
    table = _table(f"{run.case}, {run.shape}: attempts", "sub-task", "begins s", "takes s")
    for span in run.spans:
        table.add_row(span.slug, f"{span.begins:.2f}", f"{span.seconds:.2f}")
    return table


def _outputs(different: list[str], same: str) -> str:
    return f"DIFFERENT: {', '.join(different)}" if different else same


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    return table
