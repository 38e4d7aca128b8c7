"""What the commands `lossline up` and `lossline demo` do."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from services.embedded.client import ApiClient
from services.embedded.demo import Portfolio, run_demo
from services.embedded.errors import EmbeddedError
from services.embedded.kernels import compile_kernels, kernel_cache
from services.embedded.layout import Layout
from services.embedded.models import ModelDirectory, read_model_directory
from services.embedded.platform import Fleet, Platform
from services.embedded.ports import free_port
from services.embedded.presentation.console import LiveProgress
from shared.core.plan import RunMode

FILES = {
    "location_file": ("exposure/location.csv", "exposure/SourceLocOEDPiWind10.csv"),
    "accounts_file": ("exposure/account.csv", "exposure/SourceAccOEDPiWind.csv"),
    "reinsurance_info_file": ("exposure/ri_info.csv", "exposure/SourceReinsInfoOEDPiWind.csv"),
    "reinsurance_scope_file": ("exposure/ri_scope.csv", "exposure/SourceReinsScopeOEDPiWind.csv"),
}
"""The exposure files of the demo by the API's name, and where a model directory keeps its example of each."""


@dataclass(frozen=True)
class DemoOptions:
    """What the demo was asked for; None where the model's own example, or a default, is meant."""

    model: Path | None
    files: dict[str, Path]
    settings: Path | None
    lookup_chunks: int | None
    loss_chunks: int | None
    workers: int | None
    out: Path
    run_mode: RunMode = RunMode.V2


def up(
    models: Sequence[Path],
    workers: int,
    port: int,
    websocket_port: int | None,
    console: Console,
    modes: Sequence[RunMode] = (),
    *,
    scale: bool = False,
) -> None:
    """Run every service in the foreground until Ctrl-C or SIGTERM. The websocket's port is the next one by default."""
    stopping = stop_event()
    layout = Layout.from_env(os.environ)
    directories = [read_model_directory(path) for path in models] or [example_model(layout)]
    cache = prepare_kernels(layout, console)
    slots = slots_for(workers * len(directories))
    fleets = [Fleet(model, workers, slots, mode) for model in directories for mode in modes or (RunMode.V2,)]
    starting = Platform(layout, fleets, port, cache, said=lambda text: console.print(f"  {text}", style="dim"))
    starting.websocket_port = websocket_port or port + 1
    starting.scale = scale
    with starting as platform:
        console.print(f"[bold]Lossline is up.[/]  API: {platform.url}  (also {platform.url}api/)")
        console.print(f"Queue status: {platform.websocket_url}ws/v2/queue-status/")
        console.print(f"{platform.login}; Ctrl-C stops everything.")
        for fleet in fleets:
            console.print(f"{fleet}, as work comes" if scale else str(fleet))
        console.print(f"Logs: {layout.logs}", soft_wrap=True)
        stopping.wait()
        console.print("Stopping.")


def demo(options: DemoOptions, console: Console) -> None:
    """Start everything, run one analysis, show its losses, stop everything."""
    stop_on_terminate()
    layout = Layout(Layout.from_env(os.environ).home / "demo")
    model = read_model_directory(options.model) if options.model else example_model(layout)
    workers = options.workers or (1 if options.run_mode == RunMode.V1 else max(1, cores() // 2))
    slots = slots_for(workers)
    portfolio = portfolio_of(options, model, workers * slots)
    cache = prepare_kernels(Layout.from_env(os.environ), console)
    began = datetime.now(UTC)
    with ExitStack() as resources:
        with LiveProgress(console) as progress:
            fleet = Fleet(model, workers, slots, options.run_mode)
            starting = Platform(layout, [fleet], free_port(), cache, said=lambda text: progress.waiting(text, began))
            platform = resources.enter_context(starting)
        platform.said = console.print
        run_demo(ApiClient(platform.url, platform.login), model, portfolio, options.out.absolute(), console)


def portfolio_of(options: DemoOptions, model: ModelDirectory, slots: int) -> Portfolio:
    """The files that were given, else the model's examples. Raises EmbeddedError where there is no location file."""
    files = dict(options.files)
    if "location_file" not in files:
        examples = {name: model.example(*candidates) for name, candidates in FILES.items()}
        files = {name: path for name, path in examples.items() if path is not None} | files
    if "location_file" not in files:
        raise EmbeddedError(f"{model.path} brings no example portfolio; give one with --location FILE.")
    settings = options.settings or model.example("analysis_settings.json")
    if settings is None:
        raise EmbeddedError(f"{model.path} brings no analysis_settings.json; give one with --settings FILE.")
    for path in (*files.values(), settings):
        if not path.is_file():
            raise EmbeddedError(f"{path} is not a file.")
    chunks = (options.lookup_chunks or slots, options.loss_chunks or slots)
    return Portfolio(files, settings, *chunks, run_mode=options.run_mode)


def example_model(layout: Layout) -> ModelDirectory:
    """The example model, built if it is not there."""
    target = layout.create().models / "CoastWind"
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "examples.coastwind.build", str(target)]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if built.returncode:
        raise EmbeddedError(f"The example model could not be built:\n{built.stderr.strip()}")
    return read_model_directory(target)


def prepare_kernels(layout: Layout, console: Console) -> Path:
    """Compile what is not compiled, saying so."""
    cache = kernel_cache(os.environ, layout.home)
    began = datetime.now(UTC)
    with LiveProgress(console) as progress:
        text = "compiling numeric kernels for the first time on this machine (takes some minutes)"
        compile_kernels(cache, lambda _: progress.waiting(text, began))
    return cache


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def slots_for(workers: int) -> int:
    """Slots of each worker: `OASIS_CELERY_CONCURRENCY`, else so many that all of them together fill the cores."""
    chosen = os.environ.get("OASIS_CELERY_CONCURRENCY", "")
    return int(chosen) if chosen.isdecimal() and int(chosen) else max(1, cores() // workers)


def stop_event() -> threading.Event:
    """An event that SIGINT and SIGTERM set."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def stop_on_terminate() -> None:
    """Let SIGTERM unwind like Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
