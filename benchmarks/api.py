"""python -m benchmarks.api: requests to the API with many analyses in its database, and with few.

See README.md beside this file.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from benchmarks.many_analyses import fill
from benchmarks.places import Places, open_places
from benchmarks.platform_under_test import VHOST, api_alone
from benchmarks.requesting import Target, ask, compressed, download, locations, per_second, seconds_of_each, upload
from benchmarks.resources import forget_peak, load, peak_mib, resident_mib
from services.embedded.platform import HOST
from shared.database.resources import DataFile, Portfolio

DETAIL = "one analysis"
RATIO, TRANSFER_MIB = 1.5, 64.0
"""Goals: p99 of one analysis among many to that among few; growth of the API for a file of 1 GB."""

_ROUNDS = 10
_LEAST, _ENOUGH = 4, 100
"""Requests of a kind, and those that have a 99th percentile."""

_CLIENTS = 4
_MIB = float(1 << 20)


@dataclass(frozen=True)
class Answers:
    """One kind of request. Milliseconds of requests one after the other, and a rate of four clients at once."""

    request: str
    path: str
    answer_bytes: int
    count: int
    p50_ms: float
    p99_ms: float | None
    """None of too few requests to have one."""
    per_second: float


@dataclass(frozen=True)
class Transfer:
    """A large file through the API. `growth_mib`: peak of its resident memory above what it had before."""

    direction: str
    mib: float
    growth_mib: float


@dataclass
class Results:
    """One run of the benchmark: the same requests to two APIs, in turns."""

    machine: str
    few: int
    many: int
    load_before: float
    load_after: float = 0.0
    among_few: list[Answers] = field(default_factory=list)
    among_many: list[Answers] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)

    @property
    def detail_ratio(self) -> float | None:
        """Of the 99th percentiles of one analysis, among many to among few."""
        many, few = (
            next(each.p99_ms for each in side if each.request == DETAIL) for side in (self.among_many, self.among_few)
        )
        return many / few if many and few else None


@dataclass(frozen=True)
class Side:
    """One API over a database with so many analyses."""

    target: Target
    engine: Engine
    pid: int
    ids: list[int]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    results = Results(f"{len(os.sched_getaffinity(0))} cores", options.few, options.many, load())
    with open_places((VHOST,)) as places:
        _measure(places, options, results)
    results.load_after = load()
    show(results, Console(width=120))
    if options.out:
        told = asdict(results) | {"detail_ratio": results.detail_ratio}
        options.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__)
    parser.add_argument("--many", type=int, default=10_000, help="analyses of 40 sub-tasks each")
    parser.add_argument("--few", type=int, default=10, help="analyses of the other database")
    parser.add_argument("--requests", type=int, default=1000, help="of each kind; of the slow ones fewer")
    parser.add_argument("--transfer-mib", type=int, default=0, help="size of a file to upload and download: 1024")
    parser.add_argument("--out", type=Path, help="where to write the results as JSON")
    return parser


def _measure(places: Places, options: argparse.Namespace, results: Results) -> None:
    with api_alone(places, "few") as first, api_alone(places, "many") as second:
        sides = []
        for (engine, port, pid, token), count in ((first, options.few), (second, options.many)):
            _say(f"inserting {count:,} analyses")
            sides.append(Side(Target(HOST, port, token), engine, pid, fill(engine, count)))
        few, many = sides
        if options.transfer_mib:
            # First: what other requests have made room for would hide what these take.
            results.transfers = _transfer(few, options.transfer_mib)
        for kind, (path_of, share) in KINDS.items():
            _say(kind)
            count = max(_LEAST, int(options.requests * share))
            one, other = _compare(kind, path_of, count, few, many)
            results.among_few.append(one)
            results.among_many.append(other)


PathOf = Callable[[int], str]

KINDS: dict[str, tuple[PathOf, float]] = {
    DETAIL: (lambda pk: f"/v2/analyses/{pk}/", 1.0),
    "its sub-tasks": (lambda pk: f"/v2/analyses/{pk}/sub_task_list/", 0.25),
    "analyses by name": (lambda pk: f"/v2/analyses/?name=analysis {pk}".replace(" ", "%20"), 0.25),
    "analyses whose name contains a text": (lambda pk: f"/v2/analyses/?name__contains=sis%20{pk}&limit=10", 0.25),
    "analyses by status": (lambda _pk: "/v2/analyses/?status=RUN_STARTED", 0.25),
    "fifty analyses": (lambda _pk: "/v2/analyses/?limit=50", 0.25),
    "all analyses": (lambda _pk: "/v2/analyses/", 0.0),
    "the status of all queues": (lambda _pk: "/v2/queue-status/", 0.25),
}
"""What is asked for: the path for an analysis, and how many requests of it there are."""


@dataclass(frozen=True)
class _Asked:
    """One kind of request to one side, as far as it has been measured."""

    side: Side
    paths: list[str]
    seconds: list[float] = field(default_factory=list)

    def a_round(self, number: int) -> None:
        """A part of the requests."""
        self.seconds.extend(seconds_of_each(self.side.target, self.paths[number :: min(_ROUNDS, len(self.paths))]))

    def answers(self, kind: str) -> Answers:
        """All of it, with the rate."""
        target, ordered = self.side.target, sorted(1000 * each for each in self.seconds)
        p50, last = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
        p99 = last if len(ordered) >= _ENOUGH else None
        with target.connected() as connection:
            size = len(ask(connection, target, self.paths[0]))
        rate = per_second(target, self.paths, _CLIENTS)
        return Answers(kind, self.paths[0], size, len(ordered), p50, p99, rate)


def _compare(kind: str, path_of: PathOf, count: int, few: Side, many: Side) -> tuple[Answers, Answers]:
    """In turns, so that what others do on the machine meets both."""
    one, other = (_Asked(side, _paths(side, path_of, count)) for side in (few, many))
    for number in range(min(_ROUNDS, count)):
        one.a_round(number)
        other.a_round(number)
    return one.answers(kind), other.answers(kind)


def _paths(side: Side, path_of: PathOf, count: int) -> list[str]:
    ids = Random(1).sample(side.ids, len(side.ids))
    return [path_of(pk) for pk in islice(cycle(ids), count)]


def _transfer(side: Side, mib: int) -> list[Transfer]:
    """Up and down again, as the content of a data file; then up as locations, whose rows are counted."""
    with Session(side.engine) as session, session.begin():
        pk = session.scalar(insert(DataFile).values(file_description="large").returning(DataFile.id))
        portfolio = session.scalar(insert(Portfolio).values(name="large").returning(Portfolio.id))
    path, target, size = f"/v2/data_files/{pk}/content/", side.target, mib << 20
    of_portfolio = f"/v2/portfolios/{portfolio}/location_file/"
    _say(f"a file of {mib:,} MiB")
    return [
        Transfer("upload", mib, _growth(side.pid, lambda: upload(target, path, size, compressed()))),
        Transfer("download", mib, _growth(side.pid, lambda: _download_whole(target, path, size))),
        Transfer(
            "upload of locations", mib, _growth(side.pid, lambda: upload(target, of_portfolio, size, locations()))
        ),
    ]


def _download_whole(target: Target, path: str, size: int) -> None:
    found = download(target, path)
    if found != size:
        raise ValueError(f"{found} bytes came back of {size}")


def _growth(pid: int, work: Callable[[], None]) -> float:
    forget_peak(pid)
    before = resident_mib(pid)
    work()
    return peak_mib(pid) - before


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    table = Table(title=f"{results.many:,} analyses of 40 sub-tasks, beside {results.few:,}", title_justify="left")
    for column in ("request", "answer bytes", "p50 ms", "p99 ms", "a second", f"p99 ms of {results.few}", "ratio"):
        table.add_column(column, justify="left" if column == "request" else "right")
    for many, few in zip(results.among_many, results.among_few, strict=True):
        times = f"{many.p50_ms:.1f}", _shown(many.p99_ms), f"{many.per_second:.1f}", _shown(few.p99_ms)
        ratio = f"{many.p99_ms / few.p99_ms:.2f}" if many.p99_ms and few.p99_ms else ""
        table.add_row(many.request, f"{many.answer_bytes:,}", *times, ratio)
    console.print(table)
    if results.detail_ratio:
        console.print(f"One analysis, p99 among many to among few: {results.detail_ratio:.2f} (goal ≤ {RATIO:g}).")
    for each in results.transfers:
        console.print(
            f"{each.direction} of {each.mib:,.0f} MiB: +{each.growth_mib:.0f} MiB in the API (goal ≤ {TRANSFER_MIB:g})"
        )
    console.print(f"{results.machine}; load average {results.load_before:.1f} before, {results.load_after:.1f} after.")


def _shown(milliseconds: float | None) -> str:
    return f"{milliseconds:.1f}" if milliseconds else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
