"""python -m benchmarks.kernels: warm against plain programs, and the whole platform against oasislmf's own commands.

Both sides of a ratio are measured in one run on the same cores, and their outputs are compared. See README.md.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console

from benchmarks import kernel_models
from benchmarks.kernel_models import Case
from benchmarks.kernel_results import PlatformRun, Results, Stage, Steps
from benchmarks.kernel_tables import show
from benchmarks.resources import load, proportional_mib
from benchmarks.same_outputs import differences
from benchmarks.warm_worker import Worker, archive_of_inputs, program_path, worker
from benchmarks.whole_platform import Shape, TimedRun, WholePlatform, whole_platform
from services.embedded.kernels import kernel_cache
from services.embedded.layout import Layout
from shared.core.plan import RunMode

CHECKOUT = Path(__file__).parents[1]
PIWIND = CHECKOUT.parent / "shared" / "models" / "PiWind"
PARTS = ("stage", "steps", "platform", "starts", "demo")


@dataclass(frozen=True)
class Reference:
    """What oasislmf's own commands have made of a case, in the directory `run`. Seconds."""

    case: Case
    run: Path
    inputs: float
    losses: float


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for; exit status 1 if outputs differ."""
    options = _parser().parse_args(argv)
    os.environ["PATH"] = program_path()
    os.environ["NUMBA_CACHE_DIR"] = str(kernel_cache(os.environ, Layout.from_env(os.environ).home))
    results = Results(load())
    with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
        _measure(options, Path(folder), results)
    results.load_after = load()
    show(results, Console(width=140), spans=options.spans)
    if options.out:
        options.out.write_text(json.dumps(asdict(results), indent=2), encoding="utf-8")
    return 0 if results.all_same else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("--model", choices=("example", "piwind"), nargs="+", default=["example", "piwind"])
    parser.add_argument("--piwind", type=Path, default=PIWIND, help="the model's directory")
    parser.add_argument("--locations", type=int, choices=(10, 12598), nargs="+", default=[10])
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=["stage", "platform", "starts"])
    parser.add_argument("--chunks", type=int, nargs="+", default=[2], help="chunks of the v2 runs: 1 2 8 32 …")
    parser.add_argument("--lookups", type=int, default=1, help="chunks of the lookup in v2 runs")
    parser.add_argument("--processes", type=int, default=2, help="of oasislmf's commands, and slots")
    parser.add_argument("--rounds", type=int, default=3, help="of warm and plain, and of each shape of run")
    parser.add_argument("--spans", action="store_true", help="also print where the time of v2 runs went")
    parser.add_argument("--out", type=Path, help="also write the results as JSON")
    return parser


def _measure(options: argparse.Namespace, folder: Path, results: Results) -> None:
    parts = set(options.parts)
    for case in _cases(options, folder) if parts & {"stage", "steps", "platform"} else ():
        reference = _reference(case, folder / f"run-{case.name.replace(' ', '-')}", options.processes)
        if parts & {"stage", "steps"}:
            asyncio.run(_by_workers(options, folder, reference, results))
        if "platform" in parts:
            results.runs += _by_platform(options, reference)
    if "starts" in parts:
        asyncio.run(_starts(options, folder, results))
    if "demo" in parts:
        _say("the demo, twice")
        results.demo = kernel_models.second_demo(folder)


def _cases(options: argparse.Namespace, folder: Path) -> list[Case]:
    cases = [kernel_models.coastwind(folder)] if "example" in options.model else []
    if "piwind" in options.model and options.piwind.is_dir():
        cases += [kernel_models.piwind(options.piwind.resolve(), number) for number in options.locations]
    return cases


def _reference(case: Case, run: Path, processes: int) -> Reference:
    _say(f"{case.name}: input files and losses by oasislmf")
    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    inputs = kernel_models.generate_inputs(case, run, environ)
    return Reference(case, run, inputs, kernel_models.generate_losses(case, run, processes, environ))


async def _by_workers(options: argparse.Namespace, folder: Path, reference: Reference, results: Results) -> None:
    case, slots, of_workers = reference.case, options.processes, folder / f"workers-{len(results.stages)}"
    of_workers.mkdir()
    async with (
        worker(of_workers / "warm", warm=True, slots=slots) as warm,
        worker(of_workers / "plain", warm=False, slots=slots) as plain,
    ):
        if "stage" in options.parts:
            results.stages.append(await _stage(options, reference, warm, plain))
        if "steps" in options.parts:
            inputs = archive_of_inputs(reference.run, of_workers / "inputs.tar.gz")
            for chunks in options.chunks:
                _say(f"{case.name}: the steps of a run in {chunks} chunks")
                seconds, _ = await warm.losses(case, inputs, chunks)
                results.steps.append(Steps(case.name, chunks, slots, seconds, reference.losses))


async def _stage(options: argparse.Namespace, reference: Reference, warm: Worker, plain: Worker) -> Stage:
    """The script that the undivided command has written, in copies of its directory, in turns."""
    seconds: dict[str, list[float]] = {"warm": [], "plain": []}
    different: list[str] = []
    run, name_of_case = reference.run, reference.case.name
    for number in range(options.rounds):
        for name, side in (("plain", plain), ("warm", warm)):
            _say(f"{name_of_case}: kernel stage, {name} programs")
            copy = kernel_models.copy_of_run(run, run.with_name(f"{run.name}-{name}-{number}"))
            seconds[name].append(await side.script(copy / "run_kernel.sh"))
            different += kernel_models.different_tables(run, copy)
    return Stage(name_of_case, options.processes, seconds["warm"], seconds["plain"], sorted(set(different)))


def _by_platform(options: argparse.Namespace, reference: Reference) -> Iterator[PlatformRun]:
    shapes = [Shape(RunMode.V1), *(Shape(RunMode.V2, options.lookups, chunks) for chunks in options.chunks)]
    _say(f"{reference.case.name}: starting the platform")
    with whole_platform(reference.case, options.processes) as platform:
        for shape in shapes:
            rounds = [_round(platform, shape, reference) for _ in range(options.rounds)]
            yield _platform_run(reference, shape, rounds)


def _round(platform: WholePlatform, shape: Shape, reference: Reference) -> TimedRun:
    _say(f"{reference.case.name}: {shape}")
    return platform.run(shape)


def _platform_run(reference: Reference, shape: Shape, rounds: Sequence[TimedRun]) -> PlatformRun:
    different = {name for each in rounds for name in differences(each.outputs, reference.run / "output")}
    return PlatformRun(
        case=reference.case.name,
        shape=str(shape),
        inputs=[each.inputs for each in rounds],
        losses=[each.losses for each in rounds],
        command_inputs=reference.inputs,
        command_losses=reference.losses,
        different=sorted(different),
        spans=rounds[-1].spans,
    )


async def _starts(options: argparse.Namespace, folder: Path, results: Results) -> None:
    _say("starts of programs")
    async with (
        worker(folder / "warm", warm=True, slots=options.processes) as warm,
        worker(folder / "plain", warm=False, slots=options.processes) as plain,
    ):
        results.warm_process_mib = proportional_mib(await warm.forks.ready())
        results.start_ms = 1000 * median(await warm.starts("evepy", 40))
        results.plain_start_ms = 1000 * median(await plain.starts("evepy", 5))


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
