"""Looks at a platform, and says what is wrong with it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from services.embedded.doctor.collect_broker import broker_facts
from services.embedded.doctor.collect_database import database_facts
from services.embedded.doctor.collect_parts import (
    api_problem,
    file_systems,
    folders_of,
    store_problem,
    websocket_problem,
)
from services.embedded.doctor.facts import DatabaseFacts, Facts, Finding, Limits, Severity, Unreachable
from services.embedded.doctor.findings_parts import part_findings
from services.embedded.doctor.findings_work import work_findings
from services.embedded.reach import Reach


@dataclass(frozen=True)
class Diagnosis:
    """What was found, the worst first; `looked_at` is by the database's clock where it answered."""

    looked_at: datetime
    findings: tuple[Finding, ...]

    @property
    def is_healthy(self) -> bool:
        """Whether there is nothing but notes."""
        return all(finding.severity == Severity.NOTE for finding in self.findings)


def examine(reach: Reach, limits: Limits | None = None) -> Diagnosis:
    """Collect the facts, and judge them. What cannot be reached is a finding, not an error."""
    facts = collect(reach)
    execution = facts.database.execution if isinstance(facts.database, DatabaseFacts) else None
    return Diagnosis(execution.now if execution else datetime.now(UTC), judge(facts, limits or Limits()))


def judge(facts: Facts, limits: Limits) -> tuple[Finding, ...]:
    """All findings, the worst first. Pure."""
    order = list(Severity)
    found = [*part_findings(facts, limits), *work_findings(facts, limits)]
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


def collect(reach: Reach) -> Facts:
    """Ask all parts; those that do not answer hold up no others."""
    with ThreadPoolExecutor(3, "doctor") as pool:
        store = pool.submit(store_problem, reach.store)
        api = pool.submit(api_problem, reach.api, reach.authorities)
        websocket = pool.submit(websocket_problem, reach.websocket, reach.authorities)
        database = database_facts(reach.database)
        broker = broker_facts(reach.broker, _work_queues(database))
        unreachable = tuple(problem for each in (store, api, websocket) if (problem := each.result()) is not None)
    return Facts(database, broker, unreachable, file_systems(folders_of(reach.store, reach.layout)))


def _work_queues(database: DatabaseFacts | Unreachable) -> list[str]:
    execution = database.execution if isinstance(database, DatabaseFacts) else None
    return [queue.name for queue in execution.ready] if execution else []
