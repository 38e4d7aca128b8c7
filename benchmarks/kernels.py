"""python -m benchmarks.kernels: warm against plain programs, and the steps of a run against oasislmf's own command.

Both sides of a ratio are measured in one run on the same cores, and their outputs are compared. See README.md.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import kernel_models
from benchmarks.kernel_models import Case
from benchmarks.resources import load, proportional_mib
from benchmarks.warm_worker import Worker, archive_of_inputs, program_path, worker

PIWIND = Path(__file__).parents[2] / "shared" / "models" / "PiWind"
START_MS, WARM_MIB = 15.0, 500.0


@dataclass(frozen=True)
class Stage:
    """The kernel stage: one run script, by both kinds of programs. Seconds."""

    case: str
    processes: int
    warm: list[float]
    plain: list[float]
    different: list[str]
    """Output files that are not the same bytes."""

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return median(self.warm) / median(self.plain)


@dataclass(frozen=True)
class Whole:
    """The steps of a v2 run on the slots of one worker, and `oasislmf model generate-losses`. Seconds."""

    case: str
    chunks: int
    slots: int
    steps: float
    command: float


@dataclass
class Results:
    """One run of the benchmark."""

    load_before: float
    load_after: float = 0.0
    start_ms: float = 0.0
    plain_start_ms: float = 0.0
    warm_process_mib: float = 0.0
    stages: list[Stage] = field(default_factory=list)
    wholes: list[Whole] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for; exit status 1 if outputs differ."""
    options = _parser().parse_args(argv)
    os.environ["PATH"] = program_path()
    results = Results(load())
    with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
        asyncio.run(_measure(options, Path(folder), results))
    results.load_after = load()
    _show(results, Console(width=120))
    if options.out:
        options.out.write_text(json.dumps(asdict(results), indent=2), encoding="utf-8")
    return 1 if any(stage.different for stage in results.stages) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("--model", choices=("example", "piwind"), nargs="+", default=["example", "piwind"])
    parser.add_argument("--piwind", type=Path, default=PIWIND, help="the model's directory")
    parser.add_argument("--locations", type=int, choices=(10, 12598), nargs="+", default=[10])
    parser.add_argument("--chunks", type=int, nargs="+", default=[2], help="chunks of the v2 runs: 1, 2, 8, 32 …")
    parser.add_argument("--processes", type=int, default=2, help="of the undivided command, and slots")
    parser.add_argument("--rounds", type=int, default=3, help="of warm and plain in turns")
    parser.add_argument("--out", type=Path, help="also write the results as JSON")
    return parser


async def _measure(options: argparse.Namespace, folder: Path, results: Results) -> None:
    async with (
        worker(folder / "warm", warm=True, slots=options.processes) as warm,
        worker(folder / "plain", warm=False, slots=options.processes) as plain,
    ):
        results.warm_process_mib = proportional_mib(await warm.forks.ready())
        for case in _cases(options, folder):
            run = folder / f"run-{len(results.stages)}"
            _say(f"{case.name}: input files and losses by oasislmf")
            kernel_models.generate_inputs(case, run, warm.environ)
            inputs = archive_of_inputs(run, folder / f"inputs-{len(results.stages)}.tar.gz")
            command = kernel_models.generate_losses(case, run, options.processes, plain.environ)
            results.stages.append(await _stage(options, case, run, warm, plain))
            for chunks in options.chunks:
                _say(f"{case.name}: the steps of a run in {chunks} chunks")
                seconds, _ = await warm.losses(case, inputs, chunks)
                results.wholes.append(Whole(case.name, chunks, options.processes, seconds, command))
        results.start_ms = 1000 * median(await warm.starts("evepy", 40))
        results.plain_start_ms = 1000 * median(await plain.starts("evepy", 5))


def _cases(options: argparse.Namespace, folder: Path) -> list[Case]:
    cases = [kernel_models.coastwind(folder)] if "example" in options.model else []
    if "piwind" in options.model and options.piwind.is_dir():
        cases += [kernel_models.piwind(options.piwind.resolve(), number) for number in options.locations]
    return cases


async def _stage(options: argparse.Namespace, case: Case, run: Path, warm: Worker, plain: Worker) -> Stage:
    """The script that the undivided command has written, in copies of its directory, in turns."""
    seconds: dict[str, list[float]] = {"warm": [], "plain": []}
    different: list[str] = []
    for number in range(options.rounds):
        for name, side in (("plain", plain), ("warm", warm)):
            _say(f"{case.name}: kernel stage, {name} programs")
            copy = kernel_models.copy_of_run(run, run.with_name(f"{run.name}-{name}-{number}"))
            seconds[name].append(await side.script(copy / "run_kernel.sh"))
            different += kernel_models.different_tables(run, copy)
    return Stage(case.name, options.processes, seconds["warm"], seconds["plain"], sorted(set(different)))


def _show(results: Results, console: Console) -> None:
    stages = _table("Kernel stage", "case", "processes", "plain s", "warm s", "ratio", "outputs")
    for stage in results.stages:
        same = "the same bytes" if not stage.different else f"DIFFERENT: {', '.join(stage.different)}"
        seconds = f"{median(stage.plain):.2f}", f"{median(stage.warm):.2f}", f"{stage.ratio:.3f}"
        stages.add_row(stage.case, str(stage.processes), *seconds, same)
    wholes = _table("Steps of a v2 run, without messages", "case", "chunks", "slots", "steps s", "oasislmf s", "ratio")
    for each in results.wholes:
        ratio = each.steps / each.command
        row = str(each.chunks), str(each.slots), f"{each.steps:.2f}", f"{each.command:.2f}", f"{ratio:.3f}"
        wholes.add_row(each.case, *row)
    console.print(stages, wholes)
    console.print(f"A program's start and end: {results.start_ms:.1f} ms warm (goal ≤ {START_MS:g}), ", end="")
    console.print(f"{results.plain_start_ms:.0f} ms plain.")
    console.print(f"The warm process: {results.warm_process_mib:.0f} MiB (goal ≤ {WARM_MIB:g}).")
    console.print(f"Load average {results.load_before:.1f} before, {results.load_after:.1f} after; compare ratios.")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
