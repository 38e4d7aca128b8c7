"""Every pair of state and event of the four tables, against what the API and the protocol allow."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from shared.core.states import (
    ANALYSIS,
    ATTEMPT,
    ENDED_SUB_TASKS,
    RUN,
    SUB_TASK,
    AnalysisEvent,
    AnalysisStatus,
    AttemptEvent,
    AttemptState,
    IllegalTransition,
    RunEvent,
    RunState,
    SubTaskEvent,
    SubTaskState,
    allows,
    move,
)

Table = Mapping[tuple[Any, Any], Any]

# Source: oasis_api.md section 2.1. `event: states it is allowed in -> state after`.
ANALYSIS_RULES = """
inputs requested: NEW INPUTS_GENERATION_ERROR INPUTS_GENERATION_NO_KEYS INPUTS_GENERATION_CANCELLED READY
  RUN_COMPLETED RUN_CANCELLED RUN_ERROR -> INPUTS_GENERATION_QUEUED
losses requested: READY RUN_COMPLETED RUN_ERROR RUN_CANCELLED -> RUN_QUEUED
inputs resumed: INPUTS_GENERATION_ERROR INPUTS_GENERATION_NO_KEYS INPUTS_GENERATION_CANCELLED
  -> INPUTS_GENERATION_QUEUED
losses resumed: RUN_ERROR RUN_CANCELLED -> RUN_QUEUED
inputs started: INPUTS_GENERATION_QUEUED -> INPUTS_GENERATION_STARTED
inputs recorded: INPUTS_GENERATION_STARTED -> READY
inputs failed: INPUTS_GENERATION_QUEUED INPUTS_GENERATION_STARTED -> INPUTS_GENERATION_ERROR
inputs without keys: INPUTS_GENERATION_STARTED -> INPUTS_GENERATION_NO_KEYS
cancelled: INPUTS_GENERATION_QUEUED INPUTS_GENERATION_STARTED -> INPUTS_GENERATION_CANCELLED
losses started: READY RUN_QUEUED -> RUN_STARTED
losses recorded: RUN_STARTED -> RUN_COMPLETED
losses failed: READY RUN_QUEUED RUN_STARTED -> RUN_ERROR
cancelled: READY RUN_QUEUED RUN_STARTED -> RUN_CANCELLED
"""
RUN_RULES = """
planned: REQUESTED -> ACTIVE
cancel requested: REQUESTED ACTIVE -> CANCELLING
sub-task failed for good: REQUESTED ACTIVE -> FAILING
all sub-tasks ended: ACTIVE -> COMPLETED
all sub-tasks ended: CANCELLING -> CANCELLED
all sub-tasks ended: FAILING -> FAILED
"""
# Source: oasis_api.md section 2.2; a result is accepted while QUEUED until a newer attempt is granted.
SUB_TASK_RULES = """
predecessors done: PENDING -> QUEUED
attempt granted: QUEUED -> STARTED
result accepted: STARTED QUEUED -> COMPLETED
attempt ended, tries left: STARTED -> QUEUED
attempt ended, no tries left: STARTED -> ERROR
run stopped: PENDING QUEUED STARTED -> CANCELLED
"""
ATTEMPT_RULES = """
listed by a heartbeat: granted running -> running
result accepted: granted running lost undelivered -> completed
error of the model: granted running -> failed
worker lost: granted running -> lost
out of memory: granted running -> out-of-memory
run stopped: granted running -> cancelled
never listed: granted -> undelivered
handed back: granted running -> drained
"""


def read(rules: str, states: type[StrEnum], events: type[StrEnum]) -> dict[tuple[StrEnum, StrEnum], StrEnum]:
    """The transitions that the rules allow."""
    allowed: dict[tuple[StrEnum, StrEnum], StrEnum] = {}
    for rule in rules.replace("\n  ", " ").strip().splitlines():
        event, _, moves = rule.partition(": ")
        before, _, after = moves.partition(" -> ")
        allowed |= {(states(state), events(event)): states(after) for state in before.split()}
    return allowed


CASES: list[tuple[str, Table, dict[Any, Any], type[StrEnum], type[StrEnum]]] = [
    (name, table, read(rules, states, events), states, events)
    for name, table, rules, states, events in (
        ("analysis", ANALYSIS, ANALYSIS_RULES, AnalysisStatus, AnalysisEvent),
        ("run", RUN, RUN_RULES, RunState, RunEvent),
        ("sub-task", SUB_TASK, SUB_TASK_RULES, SubTaskState, SubTaskEvent),
        ("attempt", ATTEMPT, ATTEMPT_RULES, AttemptState, AttemptEvent),
    )
]
PAIRS = [
    pytest.param(table, state, event, rules.get((state, event)), id=f"{name}: {state} + {event}")
    for name, table, rules, states, events in CASES
    for state in states
    for event in events
]


@pytest.mark.parametrize(("table", "state", "event", "after"), PAIRS)
def test_a_state_moves_by_an_event_only_where_the_rules_say(
    table: Table, state: StrEnum, event: StrEnum, after: StrEnum | None
) -> None:
    assert allows(table, state, event) == (after is not None)
    if after is not None:
        assert move(table, state, event) is after
        return
    with pytest.raises(IllegalTransition, match="does not allow the event") as raised:
        move(table, state, event)
    assert (raised.value.state, raised.value.event) == (state, event)


@pytest.mark.parametrize(
    ("table", "ends"),
    [
        (RUN, {RunState.COMPLETED, RunState.CANCELLED, RunState.FAILED}),
        (SUB_TASK, ENDED_SUB_TASKS),
        (ATTEMPT, set(AttemptState) - {"granted", "running", "lost", "undelivered"}),
    ],
)
def test_what_has_ended_never_moves_again(table: Table, ends: set[StrEnum]) -> None:
    assert {state for state, _ in table} & ends == set()


@pytest.mark.parametrize(("name", "table", "rules", "states", "events"), CASES, ids=[case[0] for case in CASES])
def test_every_state_can_be_reached(
    name: str, table: Table, rules: Any, states: type[StrEnum], events: type[StrEnum]
) -> None:
    reached = {next(iter(states))}
    while more := {after for (before, _), after in table.items() if before in reached} - reached:
        reached |= more
    assert reached == set(states)
