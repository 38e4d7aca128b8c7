"""The results as tables beside their goals, and as JSON."""

import json
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.results import Memory, Orchestration, Results, Throughput

RATIO_TO_BEST, RATIO_TO_SHIPPED, GAP_MS = 0.4, 0.05, 20.0
RATE, SUPERVISOR_MIB, ALL_MIB = 200.0, 120.0, 500.0

WHAT_RAN = """\
Both sides: the plan of a whole v2 run with one lookup chunk, no-op steps, the same RabbitMQ node, the same PostgreSQL
server (durable), as many slots as Celery has children; the clock runs from the request to the end of the last sub-task.
Lossline: every service a process of its own; each step in a forked process of its own, its files
in the object store.
Celery, children kept: prefork pool, chain and chord, SQLAlchemy results, prefetch 1, late acknowledgement; chords as
Celery polls them by default, once a second. Celery, a child per task: the same with --max-tasks-per-child 1, and tasks
that import oasislmf.manager at their first use in a process, as the tasks of the platform that we replace do."""


def show(results: Results, console: Console) -> None:
    """Print everything that was measured."""
    console.print(f"\n{WHAT_RAN}\n", highlight=False)
    if results.orchestration:
        console.print(_orchestration(results.orchestration), _gaps(results.orchestration))
    if results.throughput:
        console.print(_throughput(results.throughput))
    if results.memory:
        console.print(_memory(results.memory))
    load = f"load average {results.load_before:.1f} before, {results.load_after:.1f} after"
    console.print(f"{results.machine}; {load}. Others at work on the machine make seconds longer; compare ratios.")


def as_json(results: Results) -> str:
    """Everything that was measured, with the ratios."""
    plain: dict[str, Any] = asdict(results)
    for row, one in zip(plain["orchestration"], results.orchestration, strict=True):
        row |= {"ratio_to_best": one.to_best, "ratio_to_shipped": one.to_shipped}
    return json.dumps(plain, indent=2)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _orchestration(rows: list[Orchestration]) -> Table:
    sides = ("chunks", "Lossline s", "Celery kept s", f"ratio (goal ≤ {RATIO_TO_BEST:g})")
    table = _table("Orchestration", *sides, "Celery per task s", f"ratio (goal ≤ {RATIO_TO_SHIPPED:g})")
    for row in rows:
        table.add_row(
            str(row.chunks),
            f"{median(row.lossline):.2f}",
            f"{median(row.children_kept):.2f}",
            f"{row.to_best:.2f}",
            f"{row.child_per_task:.1f}" if row.child_per_task else "not run",
            f"{row.to_shipped:.4f}" if row.to_shipped else "",
        )
    return table


def _gaps(rows: list[Orchestration]) -> Table:
    services = list(rows[0].processor_ms)
    columns = [f"{service} ms" for service in services]
    table = _table(
        "Gap between successive sub-tasks, and processor time a sub-task",
        *("chunks", f"median ms (goal ≤ {GAP_MS:g})", "p90 ms", *columns),
    )
    for row in rows:
        times = [f"{row.processor_ms[service]:.1f}" for service in services]
        table.add_row(str(row.chunks), f"{row.gap.median_ms:.1f}", f"{row.gap.p90_ms:.1f}", *times)
    return table


def _throughput(found: Throughput) -> Table:
    title = f"Claims and completions: {found.workers} simulated workers, one task controller"
    table = _table(title, "sub-tasks in the run", f"a second (goal ≥ {RATE:g})", "its RSS MiB")
    table.add_row(str(found.few), f"{median(found.few_per_second):.0f}", f"{found.memory_before_mib:.0f}")
    table.add_row(str(found.many), f"{found.many_per_second:.0f}", f"{found.memory_after_mib:.0f}")
    return table


def _memory(found: Memory) -> Table:
    table = _table("Idle memory (PSS)", "service", "MiB", "goal")
    for service, mib in found.services_mib.items():
        table.add_row(service, f"{mib:.0f}", f"< {SUPERVISOR_MIB:g}" if service == "model-worker" else "")
    table.add_row("all together", f"{found.total_mib:.0f}", f"< {ALL_MIB:g}")
    return table
