"""python -m benchmarks.websocket: how late clients of the websocket server hear of changes.

See README.md beside this file.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, select
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.places import Places, open_places
from benchmarks.platform_under_test import WEBSOCKET, PlatformUnderTest, controller_with_websocket
from benchmarks.resources import family, load, processor_seconds
from benchmarks.simulated_workers import simulated_workers
from shared.core.states import RunKind
from shared.database.execution import SubTask

VHOST, QUEUE = "simulated", "Lossline-Simulated-1-v2"
GOAL = 1.0
"""Seconds from a change to the last client, at the 99th percentile."""


@dataclass(frozen=True)
class Figures:
    """What was measured; seconds unless a name says otherwise."""

    machine: str
    clients: int
    sub_tasks: int
    run_seconds: float
    delay_median: float
    delay_p99: float
    delay_longest: float
    messages_per_client: float
    messages_per_second: float
    server_processor_seconds: float
    load_before: float
    load_after: float
    goal_p99: float = GOAL


@dataclass
class Listener:
    """One client: when it had heard of how many completed sub-tasks."""

    completed: list[int] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, client: ClientConnection) -> None:
        """Note every message until the analysis is there no more."""
        async for text in client:
            now, analysis = time.time(), _analysis_in(json.loads(text))
            if analysis is None and not self.completed:
                continue
            self.heard_at.append(now)
            self.completed.append(sys.maxsize if analysis is None else analysis["status_count"]["COMPLETED"])
            if analysis is None:
                self.is_over.set()

    def heard_of(self, count: int) -> float:
        """When it first knew of so many."""
        return self.heard_at[bisect_left(self.completed, count)]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with open_places((VHOST,)) as places:
        figures = asyncio.run(_measure(places, options))
    Console().print(_table(figures))
    if options.out:
        options.out.write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.websocket", description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--chunks", type=int, default=2000, help="sub-tasks of the parallel section")
    parser.add_argument("--workers", type=int, default=50, help="simulated workers with one slot each")
    parser.add_argument("--work", type=float, default=0.5, help="seconds that a sub-task takes")
    parser.add_argument("--out", type=Path, help="where to write the results as JSON")
    return parser


async def _measure(places: Places, options: argparse.Namespace) -> Figures:
    before = load()
    with controller_with_websocket(places, VHOST, QUEUE) as (ours, url, token):
        async with (
            simulated_workers(places.broker(VHOST), QUEUE, options.workers, options.work),
            AsyncExitStack() as stack,
        ):
            header = {"Authorization": f"Bearer {token}"}
            clients = [
                await stack.enter_async_context(connect(url, additional_headers=header, proxy=None))
                for _ in range(options.clients)
            ]
            return await _follow(ours, clients, options, before)


async def _follow(
    ours: PlatformUnderTest, clients: list[ClientConnection], options: argparse.Namespace, before: float
) -> Figures:
    listeners = [Listener() for _ in clients]
    listening = [asyncio.create_task(each.listen(client)) for each, client in zip(listeners, clients, strict=True)]
    server = family(ours.pids[WEBSOCKET])
    spent, began = processor_seconds(server), time.monotonic()
    run_id = await asyncio.to_thread(ours.request, options.chunks, RunKind.GENERATE_LOSSES)
    await asyncio.gather(*(asyncio.wait_for(each.is_over.wait(), 600) for each in listeners))
    took, spent = time.monotonic() - began, processor_seconds(server) - spent
    for task in listening:
        task.cancel()
    delays = sorted(_delays(_ends(ours.engine, run_id), listeners))
    messages = sum(len(each.heard_at) for each in listeners) / len(listeners)
    return Figures(
        machine=f"{len(os.sched_getaffinity(0))} cores",
        clients=len(clients),
        sub_tasks=len(delays),
        run_seconds=took,
        delay_median=delays[len(delays) // 2],
        delay_p99=delays[int(0.99 * (len(delays) - 1))],
        delay_longest=delays[-1],
        messages_per_client=messages,
        messages_per_second=messages / took,
        server_processor_seconds=spent,
        load_before=before,
        load_after=load(),
    )


def _ends(engine: Engine, run_id: int) -> list[float]:
    """When the transactions began that completed the sub-tasks of the run, in order; seconds since the epoch."""
    query = select(SubTask.end_time).where(SubTask.run_id == run_id).order_by(SubTask.end_time)
    with engine.connect() as connection:
        return [end.timestamp() for end in connection.scalars(query) if end is not None]


def _delays(ends: list[float], listeners: list[Listener]) -> list[float]:
    """Of every completion, until the last client knew of it."""
    return [max(each.heard_of(count) for each in listeners) - end for count, end in enumerate(ends, 1)]


def _analysis_in(message: Any) -> Any:
    """The analysis of a message, on whichever queue; None if there is none."""
    return next((entry["analysis"] for each in message["content"] for entry in each["analyses"]), None)


def _table(found: Figures) -> Table:
    title = f"{found.clients} clients during a run of {found.sub_tasks} sub-tasks ({found.run_seconds:.0f} s)"
    table = Table(title=title, title_justify="left")
    for column in ("measure", "value", "goal"):
        table.add_column(column, justify="left" if column == "measure" else "right")
    rows = (
        ("delay from a change to the last client, median", f"{found.delay_median:.2f} s", ""),
        ("p99", f"{found.delay_p99:.2f} s", f"≤ {found.goal_p99:g} s"),
        ("longest", f"{found.delay_longest:.2f} s", ""),
        ("messages to each client", f"{found.messages_per_client:.0f}", ""),
        ("a second", f"{found.messages_per_second:.1f}", "a few"),
        ("processor time of the websocket server", f"{found.server_processor_seconds:.1f} s", ""),
        (f"load average before and after, on {found.machine}", f"{found.load_before:.1f}, {found.load_after:.1f}", ""),
    )
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    sys.exit(main())
