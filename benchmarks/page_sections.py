"""The results of each benchmark as tables in Markdown and as charts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks import api, report, scaling, storage, websocket
from benchmarks.charts import Bars, number
from benchmarks.kernel_tables import DEMO_SECONDS, INPUT_GOALS, LOSS_GOALS, START_MS, WARM_MIB

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """What stands in the place of a benchmark's results. Charts by a short name."""

    tables: list[str]
    charts: Mapping[str, Bars] = field(default_factory=dict)


def orchestration(found: Json) -> Section:
    """Lossline beside Celery, gaps, claims, idle memory."""
    rows = [
        (
            each["chunks"],
            ours := median(each["lossline"]),
            theirs := median(each["children_kept"]),
            ours / theirs,
            each["gap"]["median_ms"],
            each["gap"]["p90_ms"],
        )
        for each in found["orchestration"]
    ]
    ratio, gap = f"ratio (goal ≤ {report.RATIO_TO_BEST:g})", f"gap ms, median (goal ≤ {report.GAP_MS:g})"
    head = ("chunks", "Lossline s", "Celery, children kept s", ratio, gap, "p90")
    chart = Bars(
        "A whole run of steps that do nothing",
        "s",
        [f"{row[0]} chunks" for row in rows],
        {"Lossline": [row[1] for row in rows], "Celery, children kept": [row[2] for row in rows]},
    )
    tables = [_machine(found), table(head, rows), _claims(found["throughput"]), _memory(found["memory"])]
    return Section(tables, {"seconds": chart})


def _claims(found: Json) -> str:
    head = ("sub-tasks in the run", f"a second (goal ≥ {report.RATE:g})", "memory of the task controller, MiB")
    rows = [
        (found["few"], median(found["few_per_second"]), found["memory_before_mib"]),
        (found["many"], found["many_per_second"], found["memory_after_mib"]),
    ]
    return table(head, rows)


def _memory(found: Json) -> str:
    services = found["services_mib"]
    goals = {"model-worker": f"< {report.SUPERVISOR_MIB:g}"}
    rows = [(name, mib, goals.get(name, "")) for name, mib in services.items()]
    return table(("idle service", "MiB", "goal"), [*rows, ("all", sum(services.values()), f"< {report.ALL_MIB:g}")])


def fleets(found: Json) -> Section:
    """By the number of sub-tasks of a run."""
    rows = [
        (
            each["chunks"],
            each["per_second"],
            each["at_most"],
            each["gap"]["median_ms"],
            each["gap"]["p90_ms"],
            each["controller_ms"],
            each["controller_before_mib"],
            each["controller_peak_mib"],
            each["database_after_mib"],
            (each["database_after_mib"] - each["database_before_mib"]) * 1024 / each["chunks"],
        )
        for each in found["fleets"]
    ]
    head = ("sub-tasks", "a second", "the fleet's most", "gap ms, median", "p90", "controller ms each")
    memory = ("controller before, MiB", "at its peak", "database MiB", "KiB each")
    fleet = f"{found['workers']} workers of {found['slots']} slots, sub-tasks of {found['work_seconds']:g} s"
    labels = [f"{row[0]:,} sub-tasks" for row in rows]
    charts = {
        "rate": Bars(fleet, "sub-tasks a second", labels, _series(rows, {"measured": 1, "the fleet's most": 2})),
        "size": Bars("What a run takes", "MiB", labels, _series(rows, {"task controller, peak": 7, "database": 8})),
    }
    return Section([_machine(found), f"{fleet}:", table((*head, *memory), rows)], charts)


def api_requests(found: Json) -> Section:
    """The same requests to a large and to a small database."""
    pairs = list(zip(found["among_many"], found["among_few"], strict=True))
    rows = [
        (many["request"], many["answer_bytes"], many["p50_ms"], many["p99_ms"], many["per_second"], few["p99_ms"])
        for many, few in pairs
    ]
    head = ("request", "bytes", "p50 ms", "p99 ms", "a second", f"p99 ms among {found['few']:,}")
    sizes = f"among {found['many']:,} to among {found['few']:,}"
    ratio = f"One analysis, p99 {sizes}: {found['detail_ratio']:.2f} (goal ≤ {api.RATIO:g})."
    moved = [
        (each["direction"], each["mib"], each["growth_mib"], f"≤ {api.TRANSFER_MIB:g}") for each in found["transfers"]
    ]
    memory = table(("a large file", "MiB", "growth of the API, MiB", "goal"), moved)
    short = [row for row in rows if row[3] is not None]
    names = {f"among {found['many']:,}": 3, f"among {found['few']:,}": 5}
    chart = Bars("99th percentile of an answer", "ms", [str(row[0]) for row in short], _series(short, names))
    return Section([_machine(found), table(head, rows), ratio, *([memory] if moved else [])], {"p99": chart})


def stored(found: Json) -> Section:
    """A large archive."""
    measures = found["measures"]
    goals = dict.fromkeys(("put", "get"), f"≤ {storage.MEMORY_MIB:g}")
    rows = [
        (
            each["operation"],
            each["seconds"],
            each["mib"] / each["seconds"],
            each["growth_mib"],
            goals.get(each["operation"], ""),
        )
        for each in measures
    ]
    sizes = f"{found['archive_mib']:,.0f} MiB of files of {found['files_mib']:,.0f} MiB"
    what = f"An archive of {sizes}; store: {found['store']}."
    chart = Bars("A large archive", "MiB/s", [row[0] for row in rows], _series(rows, {"MiB a second": 2}))
    head = ("operation", "s", "MiB/s", "peak memory above before, MiB", "goal")
    return Section([_machine(found), what, table(head, rows)], {"rate": chart})


def clients(found: Json) -> Section:
    """Delays of the websocket server."""
    rows = [
        ("median", found["delay_median"], ""),
        ("99th percentile", found["delay_p99"], f"≤ {websocket.GOAL:g}"),
        ("longest", found["delay_longest"], ""),
    ]
    told = (
        f"{found['clients']} clients got {found['messages_per_client']:.0f} messages each "
        f"in {found['run_seconds']:.0f} s, while {found['sub_tasks']:,} sub-tasks were claimed and completed. "
        f"The server took {found['server_processor_seconds']:.1f} s of processor time."
    )
    return Section([_machine(found), table(("delay from a change to the last client", "s", "goal"), rows), told])


def kernels(found: Json) -> Section:
    """Warm beside plain programs, whole runs beside oasislmf's own commands, and what a warm process costs."""
    stages = [
        (each["case"], median(each["plain"]), median(each["warm"]), median(each["warm"]) / median(each["plain"]))
        for each in found["stages"]
    ]
    chart = Bars("The kernel stage", "s", [row[0] for row in stages], _series(stages, {"plain": 1, "warm": 2}))
    runs = found["runs"]
    tables = [
        _machine(found),
        table(("kernel stage", "plain s", "warm s", "ratio"), stages),
        "The whole platform, from the request to READY and to RUN_COMPLETED:",
        table(("input files", "shape", "Lossline s", "oasislmf s", "ratio", "goal"), _compared(runs, "inputs")),
        table(("losses", "shape", "Lossline s", "oasislmf s", "ratio", "goal"), _compared(runs, "losses")),
        _warm_process(found),
    ]
    return Section(tables, {"stage": chart} if stages else {})


def _compared(runs: Sequence[Json], what: str) -> list[Sequence[object]]:
    rows: list[Sequence[object]] = []
    for each in runs:
        case, shape, ours, theirs = each["case"], each["shape"], median(each[what]), each[f"command_{what}"]
        goal = INPUT_GOALS.get(case) if what == "inputs" else LOSS_GOALS.get((case, shape))
        rows.append((case, shape, ours, theirs, ours / theirs, f"≤ {goal:g}" if goal else ""))
    return rows


def _warm_process(found: Json) -> str:
    rows = [
        ("start of a program through the client, ms, median", found["start_ms"], f"≤ {START_MS:g}"),
        ("the same, plain", found["plain_start_ms"], ""),
        ("proportional memory of the warm process, MiB", found["warm_process_mib"], f"≤ {WARM_MIB:g}"),
        ("second demo of the example model, s", found["demo"], f"≤ {DEMO_SECONDS:g}"),
    ]
    return table(("", "measured", "goal"), [row for row in rows if row[1] is not None])


def scaled(found: Json) -> Section:
    """Workers that follow the work."""
    return Section([_machine(found), table(("", "measured", "goal"), scaling.rows(found))])


SECTIONS: Mapping[str, Callable[[Json], Section]] = {
    "orchestration": orchestration,
    "fleets": fleets,
    "api": api_requests,
    "storage": stored,
    "websocket": clients,
    "kernels": kernels,
    "scaling": scaled,
}
"""By the name of the benchmark, and of its file of results."""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown, its first column to the left."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *(list(map(_cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,}" if isinstance(value, int) else number(float(str(value)))


def _series(rows: Sequence[Sequence[Any]], columns: Mapping[str, int]) -> Mapping[str, Sequence[float | None]]:
    return {name: [row[column] for row in rows] for name, column in columns.items()}


def _machine(found: Json) -> str:
    before, after = found["load_before"], found.get("load_after")
    until = f", {after:.1f} at the end" if after is not None else ""
    return (
        f"Last results, on {found.get('machine', 'the same machine')}; load average {before:.1f} at the start{until}."
    )
