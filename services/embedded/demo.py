"""The demo: a portfolio through a model, with live progress, the losses on the screen, and a report."""

import json
import shutil
import tarfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from services.embedded.client import ApiClient
from services.embedded.errors import EmbeddedError
from services.embedded.models import ModelDirectory
from services.embedded.presentation.attempts import AttemptBar
from services.embedded.presentation.console import LiveProgress, render_losses
from services.embedded.presentation.read_losses import read_losses
from services.embedded.presentation.report import RunFacts, write_report
from services.embedded.presentation.speedup import speedup_of
from services.embedded.presentation.stages import stage_of
from shared.core.plan import RunMode

_ENDED = frozenset(
    {
        "INPUTS_GENERATION_ERROR",
        "INPUTS_GENERATION_NO_KEYS",
        "INPUTS_GENERATION_CANCELLED",
        "RUN_COMPLETED",
        "RUN_CANCELLED",
        "RUN_ERROR",
    }
)
_LOOK_EVERY = 0.3
_REGISTERED_WITHIN = 120.0


class DemoFailed(EmbeddedError):
    """The analysis did not complete."""


@dataclass(frozen=True)
class Portfolio:
    """The files of the demo: `files` by the API's name (location_file, accounts_file, …), and the analysis settings."""

    files: Mapping[str, Path]
    settings: Path
    lookup_chunks: int
    loss_chunks: int
    run_mode: RunMode = RunMode.V2
    name: str = field(default="Lossline demo")


def run_demo(client: ApiClient, model: ModelDirectory, portfolio: Portfolio, out: Path, console: Console) -> None:
    """Run the portfolio and leave outputs and report in `out`. Raises DemoFailed, ApiRefused, OSError."""
    with LiveProgress(console) as progress:
        progress.waiting("waiting for a worker to register its model", datetime.now(UTC))
        identity = (model.supplier_id, model.model_id, model.version_id)
        model_id = client.wait_for_model(*identity, within=_REGISTERED_WITHIN)
        analysis = carry_out(client, model_id, portfolio, progress)
    if analysis["status"] != "RUN_COMPLETED":
        raise DemoFailed(f"The analysis ended as {analysis['status']}.\n{traceback_of(client, analysis)}")
    analysis_id = int(analysis["id"])
    outputs = fetch_outputs(client, analysis_id, out)
    losses = read_losses(outputs)
    console.print(render_losses(losses))
    runs = client.get(f"v2/analyses/{analysis_id}/runs/")[::-1]
    facts, bars = facts_of(analysis, model, runs[0]), bars_of(client, analysis_id, runs)
    is_divided = portfolio.run_mode == RunMode.V2
    speedup = speedup_of(client.get(f"v2/analyses/{analysis_id}/speedup/")) if is_divided else None
    path = write_report(out / "report.html", facts, bars, losses, speedup)
    console.print(f"Outputs: {outputs}\nReport:  {path}", soft_wrap=True)


def carry_out(client: ApiClient, model_id: int, portfolio: Portfolio, progress: LiveProgress) -> dict[str, Any]:
    """Run the portfolio through both phases. Returns the analysis as it has ended."""
    analysis_id = submit(client, model_id, portfolio)
    analysis = follow(client, analysis_id, progress)
    if analysis["status"] == "READY":  # in v1 each phase is asked for by itself
        client.post(f"v2/analyses/{analysis_id}/run/?run_mode_override=V1")
        analysis = follow(client, analysis_id, progress)
    return analysis


def submit(client: ApiClient, model_id: int, portfolio: Portfolio) -> int:
    """Create portfolio and analysis, and start it. Returns the id of the analysis."""
    analysis_id = prepare(client, model_id, portfolio)
    action = "generate_inputs/?run_mode_override=V1" if portfolio.run_mode == RunMode.V1 else "generate_and_run/"
    client.post(f"v2/analyses/{analysis_id}/{action}")
    return analysis_id


def prepare(client: ApiClient, model_id: int, portfolio: Portfolio) -> int:
    """Create portfolio and analysis. Returns the id of the analysis."""
    portfolio_id = client.post("v2/portfolios/", {"name": portfolio.name})["id"]
    for name, path in portfolio.files.items():
        client.upload(f"v2/portfolios/{portfolio_id}/{name}/", path)
    body = {"name": portfolio.name, "portfolio": portfolio_id, "model": model_id}
    analysis_id = int(client.post("v2/analyses/", body)["id"])
    _give_settings(client, analysis_id, portfolio.settings)
    chunking = {
        "lookup_strategy": "FIXED_CHUNKS",
        "loss_strategy": "FIXED_CHUNKS",
        "fixed_lookup_chunks": portfolio.lookup_chunks,
        "fixed_analysis_chunks": portfolio.loss_chunks,
    }
    client.post(f"v2/analyses/{analysis_id}/chunking_configuration/", chunking)
    return analysis_id


def _give_settings(client: ApiClient, analysis_id: int, path: Path) -> None:
    """Have the settings checked, then stored as they are: checking adds the other names of some keys."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DemoFailed(f"{path} is not JSON: {error}.") from error
    client.post(f"v2/analyses/{analysis_id}/settings/", settings)
    client.upload(f"v2/analyses/{analysis_id}/settings_file/", path)


def follow(client: ApiClient, analysis_id: int, progress: LiveProgress) -> dict[str, Any]:
    """Show the analysis until it has ended, its clean-up too."""
    while True:
        analysis: dict[str, Any] = client.get(f"v2/analyses/{analysis_id}/")
        progress.update(analysis, client.get(f"v2/analyses/{analysis_id}/sub_task_list/"))
        ended = _ENDED | ({"READY"} if analysis["run_mode"] == RunMode.V1 else set())
        if analysis["status"] in ended and not analysis["status_count"]["TOTAL_IN_QUEUE"]:
            return analysis
        time.sleep(_LOOK_EVERY)


def traceback_of(client: ApiClient, analysis: dict[str, Any]) -> str:
    """Why the analysis did not complete, as far as the API tells."""
    name = "run_traceback_file" if analysis["status"].startswith("RUN") else "input_generation_traceback_file"
    return client.text(f"v2/analyses/{analysis['id']}/{name}/") if analysis[name] else "There is no traceback."


def fetch_outputs(client: ApiClient, analysis_id: int, out: Path) -> Path:
    """Download and unpack the outputs. Returns their folder; an earlier one of the same name is replaced."""
    out.mkdir(parents=True, exist_ok=True)
    archive = out / "output.tar.gz"
    client.download(f"v2/analyses/{analysis_id}/output_file/", archive)
    shutil.rmtree(out / "output", ignore_errors=True)
    _unpack(archive, out)
    archive.unlink()
    return out / "output"


def _unpack(archive: Path, out: Path) -> None:
    """The files of an archive, at their places below `out`; nothing else, and no place outside."""
    with tarfile.open(archive) as members:
        for member in members:
            place = (out / member.name).resolve()
            content = members.extractfile(member) if member.isreg() and place.is_relative_to(out.resolve()) else None
            if content is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
                with content, place.open("wb") as target:
                    shutil.copyfileobj(content, target)


def facts_of(analysis: Mapping[str, Any], model: ModelDirectory, run: Mapping[str, Any]) -> RunFacts:
    """The head of the report: the run from its request to the moment that its losses were there."""
    return RunFacts(
        name=analysis["name"],
        model=model.name,
        run_uuid=run["run_uuid"],
        lookup_chunks=analysis["lookup_chunks"] or 1,
        loss_chunks=analysis["analysis_chunks"] or 1,
        started=_moment(run["requested"]),
        finished=_moment(analysis["task_finished"]),
    )


def bars_of(client: ApiClient, analysis_id: int, runs: Iterable[Mapping[str, Any]]) -> list[AttemptBar]:
    """Every attempt that had a process, as a bar of the chart; workers are numbered in the order of appearance."""
    workers: dict[str, str] = {}
    return [
        _bar(sub_task, attempt, workers)
        for run in runs
        for sub_task in client.get(f"v2/analyses/{analysis_id}/runs/{run['id']}/sub_task_list/")
        for attempt in client.get(f"v2/analysis-task-statuses/{sub_task['id']}/attempts/")
        if attempt["started"] and attempt["finished"]
    ]


def _bar(sub_task: Mapping[str, Any], attempt: Mapping[str, Any], workers: dict[str, str]) -> AttemptBar:
    monitor = attempt["worker"].startswith("monitor-")
    numbered = sum(name != "worker monitor" for name in workers.values()) + 1
    name = workers.setdefault(attempt["worker"], "worker monitor" if monitor else f"worker {numbered}")
    return AttemptBar(
        slug=sub_task["slug"],
        stage=stage_of(sub_task["slug"]),
        worker=name,
        slot=None if monitor else attempt["slot"] + 1,
        start=_moment(attempt["started"]),
        end=_moment(attempt["finished"]),
        outcome=attempt["state"],
        queued=_moment(sub_task["queue_time"]) if sub_task["queue_time"] else None,
    )


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
