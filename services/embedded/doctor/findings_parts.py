"""Findings about the parts themselves: what cannot be reached, the schema, the clocks, the disks. Pure."""

from collections.abc import Iterator

from services.embedded.doctor.facts import (
    DatabaseFacts,
    Facts,
    FileSystem,
    Finding,
    Limits,
    Schema,
    Severity,
    Unreachable,
)

_ADVICE = {
    "database": "Start PostgreSQL, or correct OASIS_SERVER_DB_*. Until then no run goes on, and nothing is lost.",
    "broker": "Start RabbitMQ, or correct its URL. Until then no work is handed out, and nothing is lost.",
    "object store": "Make it reachable and writable for the services, or correct OASIS_STORAGE_TYPE and its settings.",
    "API": "Start it, look into its log, or give its address with --api.",
    "websocket server": "Start it, look into its log, or correct OASIS_WEBSOCKET_HOST and _PORT. Runs need it not.",
}


def part_findings(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Unreachable parts first: most of what else is wrong follows from them."""
    for part in (facts.database, facts.broker, *facts.unreachable):
        if isinstance(part, Unreachable):
            yield unreachable(part)
    if isinstance(facts.database, DatabaseFacts):
        yield from schema_findings(facts.database.schema)
        yield from clock_findings(facts.database.clock_ahead, limits)
    for file_system in facts.file_systems:
        yield from disk_findings(file_system, limits)


def unreachable(part: Unreachable) -> Finding:
    """A part that does not answer."""
    reason = part.reason.rstrip(". ")
    return Finding(Severity.ERROR, f"The {part.part} at {part.where} fails: {reason}.", None, _ADVICE[part.part])


def schema_findings(schema: Schema) -> Iterator[Finding]:
    """Tables of another version than this program."""
    if schema.revision == schema.head:
        return
    if schema.revision is None:
        what = "The database has no tables of Lossline."
        advice = "Run the migrations (`lossline up` does it at its start), or correct OASIS_SERVER_DB_NAME."
    elif schema.is_known:
        what = f"The database is at revision {schema.revision}, and the program at {schema.head}."
        advice = "Run the migrations before the services start; `lossline up` does it at its start."
    else:
        what = f"The database is at revision {schema.revision}, which this program does not know."
        advice = f"Use the version of Lossline that the services have; this one knows revisions up to {schema.head}."
    yield Finding(Severity.ERROR, f"{what} Its rows were not looked at.", None, advice)


def clock_findings(ahead: float, limits: Limits) -> Iterator[Finding]:
    """Leases are counted by the database's clock, but attempts and logs bear the times of the machines."""
    if abs(ahead) <= limits.clock:
        return
    where = "ahead of" if ahead > 0 else "behind"
    what = f"The clock of this machine is {abs(ahead):.1f} s {where} the database's."
    yield Finding(Severity.WARNING, what, None, "Let both follow a time server: times in logs and attempts mislead.")


def disk_findings(disk: FileSystem, limits: Limits) -> Iterator[Finding]:
    """File systems that are nearly full."""
    if disk.free >= limits.free_bytes and disk.free >= disk.total * limits.free_share:
        return
    severity = Severity.ERROR if disk.free == 0 else Severity.WARNING
    share = disk.free / disk.total if disk.total else 0.0
    what = f"Only {size(disk.free)} ({share:.0%}) is free on the disk of {', '.join(disk.folders)}."
    yield Finding(severity, what, None, "Free some space: uploads and attempts fail when there is none.")


def size(number: int) -> str:
    """Bytes for people: `0.4 GiB`, `12 MiB`."""
    return f"{number / (1 << 30):.1f} GiB" if number >= 100 << 20 else f"{number / (1 << 20):.0f} MiB"
