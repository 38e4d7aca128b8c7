"""Builders of ORD tables, API rows and attempts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.embedded.presentation.attempts import AttemptBar
from services.embedded.presentation.stages import stage_of

ZERO = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)


class Outputs:
    """An output folder that is written table by table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def write(self, name: str, header: str, *rows: str) -> None:
        (self.folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")

    def palt(self, name: str, *rows: str) -> None:
        self.write(f"{name}_palt.csv", "SummaryId,SampleType,MeanLoss,SDLoss", *rows)

    def ept(self, name: str, *rows: str) -> None:
        self.write(f"{name}_ept.csv", "SummaryId,EPCalc,EPType,ReturnPeriod,Loss", *rows)


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path / "output")


@pytest.fixture
def full_outputs(outputs: Outputs) -> Outputs:
    """Three perspectives with one summary id each."""
    for place, name in enumerate(("gul_S1", "il_S1", "ri_S1"), start=1):
        outputs.palt(name, f"1,1,{100 / place},9.0", f"1,2,{120 / place},{30 / place}")
        outputs.ept(name, *(f"1,2,{kind},{rp}.000000,{rp * 10 / place}" for kind in (1, 3) for rp in (250, 100, 10)))
    return outputs


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    """A row of `sub_task_list`; times are seconds after the start."""

    def build(id: int, slug: str, status: str, start: float | None = None, end: float | None = None, retries: int = 0):  # noqa: A002
        return {
            "id": id,
            "slug": slug,
            "status": status,
            "queue_name": "OasisLMF-PiWind-1-v2",
            "pending_time": stamp(0),
            "queue_time": stamp(0),
            "start_time": None if start is None else stamp(start),
            "end_time": None if end is None else stamp(end),
            "retry_count": retries,
        }

    return build


@pytest.fixture
def analysis() -> dict[str, Any]:
    return {"name": "demo", "status": "RUN_STARTED", "task_started": stamp(0), "task_finished": None}


@pytest.fixture
def now() -> datetime:
    return ZERO + timedelta(seconds=25)


@pytest.fixture
def bar() -> Callable[..., AttemptBar]:
    """An attempt; times are seconds after the start."""

    def build(
        slug: str,
        worker: str,
        slot: int | None,
        start: float,
        end: float,
        outcome: str = "completed",
        queued: float | None = None,
    ) -> AttemptBar:
        ready = None if queued is None else moment(queued)
        return AttemptBar(slug, stage_of(slug), worker, slot, moment(start), moment(end), outcome, ready)

    return build


def moment(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def stamp(seconds: float) -> str:
    """A time as the API writes it."""
    return moment(seconds).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
