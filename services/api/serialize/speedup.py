"""The speedup of a run as JSON. Documented in docs/chunking.md. Seconds are rounded to milliseconds."""

from collections.abc import Sequence
from typing import Any

from services.api.speedup import (
    WORKERS_SHOWN,
    Forecast,
    Section,
    StageTimes,
    TimedStage,
    forecast,
    lost_seconds,
    stage_times,
)
from shared.database.chunk_history import LOOKUP_STEP, LOSS_STEP
from shared.database.execution import Run

_COUNTS = {LOOKUP_STEP: "lookup_chunks", LOSS_STEP: "analysis_chunks"}


def speedup_body(
    run: Run, stages: Sequence[TimedStage], sections: dict[str, Section], workers: int, slots_per_worker: int
) -> dict[str, Any]:
    """What was measured of a completed run, and what would be with other workers and chunks."""
    times = stage_times(run.requested_at, stages)
    ours = forecast(stages, times, sections, workers, slots_per_worker)
    return {
        "run": run.id,
        "run_uuid": run.run_uuid,
        "workers": workers,
        "slots_per_worker": slots_per_worker,
        "lookup_chunks": run.lookup_chunks,
        "analysis_chunks": run.loss_chunks,
        **_measured(stages, times),
        "critical_path": _critical_path(stages),
        "predicted": [_forecast(forecast(stages, times, sections, count, slots_per_worker)) for count in WORKERS_SHOWN],
        "best": _best(ours) | {"unknown": _unknown(sections), "assumed": _assumed(sections)},
        "stages": [_stage(stage, each) for stage, each in zip(stages, times, strict=True)],
    }


def _measured(stages: Sequence[TimedStage], times: Sequence[StageTimes]) -> dict[str, Any]:
    pairs = list(zip(stages, times, strict=True))
    wall = sum(each.waited + each.span for each in times)
    serial = sum(stage.work for stage, _ in pairs if not stage.parallel and stage.own)
    work = sum(stage.work for stage in stages)
    all_serial = sum(stage.work for stage in stages if not stage.parallel)
    return {
        "wall_seconds": _seconds(wall),
        "serial_seconds": _seconds(serial),
        "parallel_seconds": _seconds(sum(each.span for stage, each in pairs if stage.parallel)),
        "parallel_work_seconds": _seconds(work - all_serial),
        "waiting_seconds": _seconds(sum(each.waited for each in times)),
        "repeating_seconds": _seconds(sum(each.span for stage, each in pairs if not stage.parallel) - serial),
        "lost_seconds": _seconds(lost_seconds(stages)),
        "copied_sub_tasks": sum(each.copied for stage in stages for each in stage.sub_tasks),
        "serial_fraction": round(all_serial / work, 4) if work else None,
    }


def _critical_path(stages: Sequence[TimedStage]) -> dict[str, Any]:
    path = [stage.longest for stage in stages]
    return {
        "seconds": _seconds(sum(each.seconds for each in path)),
        "sub_tasks": [{"slug": each.slug, "seconds": _seconds(each.seconds)} for each in path],
    }


def _forecast(one: Forecast) -> dict[str, Any]:
    return {
        "workers": one.workers,
        "slots": one.slots,
        "wall_seconds": _seconds(one.seconds),
        "best": _best(one),
    }


def _best(one: Forecast) -> dict[str, Any]:
    counts = {name: one.best_chunks.get(step) for step, name in _COUNTS.items()}
    return counts | {"wall_seconds": None if one.best_seconds is None else _seconds(one.best_seconds)}


def _unknown(sections: dict[str, Section]) -> dict[str, str]:
    missing = {step: section.unknown for step, section in sections.items() if section.unknown}
    return {_COUNTS[step]: why for step, why in missing.items()}


def _assumed(sections: dict[str, Section]) -> list[str]:
    """The counts that rest on an assumption of what a chunk's start costs."""
    return [_COUNTS[step] for step, section in sections.items() if section.costs and not section.costs.knows_start]


def _stage(stage: TimedStage, times: StageTimes) -> dict[str, Any]:
    return {
        "stage": stage.step,
        "parallel": stage.parallel,
        "sub_tasks": len(stage.sub_tasks),
        "waited_seconds": _seconds(times.waited),
        "seconds": _seconds(times.span),
        "work_seconds": _seconds(stage.work),
        "longest_seconds": _seconds(stage.longest.seconds),
        "attempts_lost": sum(not each.counts for each in stage.own),
    }


def _seconds(value: float) -> float:
    return round(max(value, 0.0), 3)
