"""Any order of claims, ends, losses, late reports, duplicates, cancels, resumes and looks: every run ends right."""

import os
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.core.facts import CancelRequested
from shared.core.retries import Cause
from shared.core.states import SERVER_KINDS, AnalysisStatus, RunKind, RunState, SubTaskState
from tests.core.simulation import SimulatedRun

T = TypeVar("T")
ANY = st.integers(0, 1_000_000)
CHUNKS = st.integers(1, 3)
KINDS = sorted(set(RunKind) - SERVER_KINDS)
BAD_ENDS = st.sampled_from([cause for cause in Cause if cause != Cause.NO_KEYS])


class Runs(RuleBasedStateMachine):
    """Several workers, a reaper, a reconciler and a user, none of whom waits for another."""

    @initialize(kind=st.sampled_from(KINDS), lookups=CHUNKS, losses=CHUNKS, cancel_after=st.integers(0, 20))
    def requested(self, kind: RunKind, lookups: int, losses: int, cancel_after: int) -> None:
        self.sim = SimulatedRun(kind, lookups, losses)
        self.cancel_after = cancel_after
        self.cancelled = self.unheard = False
        self.completed: set[int] = set()
        self.former: list[SimulatedRun] = []

    @precondition(lambda self: self.sim.numbers(SubTaskState.QUEUED))
    @rule(pick=ANY)
    def a_worker_claims(self, pick: int) -> None:
        self.sim.grant(picked(self.sim.numbers(SubTaskState.QUEUED), pick))

    @rule(pick=ANY)
    def a_claim_meets_a_sub_task_that_is_not_ready(self, pick: int) -> None:
        others = [number for number, each in self.sim.sub_tasks.items() if each.state != SubTaskState.QUEUED]
        assert self.sim.grant(picked(others, pick)) is None

    @precondition(lambda self: self.sim.attempts)
    @rule(pick=ANY)
    def a_heartbeat_lists(self, pick: int) -> None:
        self.sim.listed(picked(list(self.sim.attempts), pick))

    @precondition(lambda self: self.sim.live())
    @rule(pick=ANY)
    def a_live_attempt_completes(self, pick: int) -> None:
        assert self.sim.report(picked(self.sim.live(), pick)).refusal is None

    @precondition(lambda self: not self.sim.has_ended)
    @rule(steps=st.integers(1, 8))
    def all_goes_well_for_a_while(self, steps: int) -> None:
        for _ in range(steps):
            for number in self.sim.numbers(SubTaskState.QUEUED):
                self.sim.grant(number)
            for attempt in self.sim.live():
                self.sim.listed(attempt)
                self.sim.report(attempt)

    @precondition(lambda self: self.sim.live())
    @rule(pick=ANY, cause=BAD_ENDS, jitter=st.floats(0, 1), again=st.integers(0, 6))
    def a_sub_task_fails(self, pick: int, cause: Cause, jitter: float, again: int) -> None:
        number = self.sim.owner[picked(self.sim.live(), pick)]
        for _ in range(again + 1):
            attempt = self.sim.sub_tasks[number].attempt_id
            if attempt not in self.sim.live():
                break
            self.sim.listed(attempt)
            assert self.sim.report(attempt, cause, jitter).refusal is None
            if again and self.sim.sub_tasks[number].state == SubTaskState.QUEUED:
                self.sim.grant(number)

    @precondition(lambda self: self.sim.live_in("write-input-files"))
    @rule()
    def the_lookup_finds_no_keys(self) -> None:
        self.sim.report(self.sim.live_in("write-input-files")[0], Cause.NO_KEYS)
        assert self.sim.analysis == AnalysisStatus.INPUTS_GENERATION_NO_KEYS or self.cancelled

    @precondition(lambda self: self.sim.attempts)
    @rule(pick=ANY, cause=st.none() | BAD_ENDS)
    def any_attempt_reports_late_or_again(self, pick: int, cause: Cause | None) -> None:
        attempt = picked(list(self.sim.attempts), pick)
        was_newest = self.sim.sub_tasks[self.sim.owner[attempt]].attempt_id == attempt
        decision = self.sim.report(attempt, cause)
        if not was_newest:
            assert decision.refusal == "a newer attempt has been granted"
            assert decision.changes == ()

    @precondition(lambda self: not self.cancelled and len(self.sim.attempts) > self.cancel_after)
    @rule(message_is_lost=st.booleans())
    def the_user_cancels(self, message_is_lost: bool) -> None:
        self.sim.cancel()
        self.cancelled = self.sim.run.state == RunState.CANCELLING
        self.granted = len(self.sim.attempts)
        self.unheard = self.cancelled and message_is_lost
        if not message_is_lost:
            self.sim.apply(CancelRequested())

    @precondition(lambda self: self.sim.is_resumable)
    @rule(cancel_after=st.integers(0, 20))
    def the_user_resumes(self, cancel_after: int) -> None:
        ended = self.sim
        self.former.append(ended)
        self.sim = SimulatedRun(ended.kind, ended.lookups, ended.losses, after=ended)
        self.cancel_after = cancel_after
        self.cancelled = self.unheard = False

    @precondition(lambda self: any(run.attempts for run in self.former))
    @rule(pick=ANY, cause=st.none() | BAD_ENDS)
    def an_attempt_of_a_former_run_reports(self, pick: int, cause: Cause | None) -> None:
        former = picked([run for run in self.former if run.attempts], pick)
        before = (former.run, dict(former.sub_tasks), former.analysis)
        former.report(picked(list(former.attempts), pick), cause)
        assert (former.run, former.sub_tasks, former.analysis) == before, "a run that has ended was changed"

    @rule()
    def the_reconciler_looks(self) -> None:
        before = (self.sim.run, dict(self.sim.sub_tasks))
        self.sim.look()
        lost, self.unheard = self.unheard, False
        assert lost or (self.sim.run, self.sim.sub_tasks) == before, "a look changed a run in which nothing was lost"

    @precondition(lambda self: not self.unheard)
    @rule()
    def the_cancel_is_heard_again(self) -> None:
        before = self.sim.run
        self.sim.apply(CancelRequested())
        assert self.sim.run == before

    @invariant()
    def all_holds(self) -> None:
        self.sim.check()
        completed = set(self.sim.numbers(SubTaskState.COMPLETED))
        assert self.completed <= completed, "a completed sub-task has changed"
        self.completed = completed
        if self.cancelled:
            assert len(self.sim.attempts) == self.granted, "granted behind a cancel"
            assert self.sim.run.state in (RunState.CANCELLING, RunState.CANCELLED)
            assert self.sim.analysis in (AnalysisStatus.INPUTS_GENERATION_CANCELLED, AnalysisStatus.RUN_CANCELLED)

    def teardown(self) -> None:
        """With fair scheduling, and no more failures, every run ends."""
        if not hasattr(self, "sim"):
            return
        for _ in range(2 * len(self.sim.sub_tasks) + 2):
            if self.sim.has_ended:
                break
            self.sim.look()
            for attempt in self.sim.live():
                self.sim.report(attempt)
            for number in self.sim.numbers(SubTaskState.QUEUED):
                self.sim.grant(number)
        self.sim.check()
        assert self.sim.has_ended
        assert self.sim.analysis in EXPECTED[self.sim.run.state]


def picked(choices: Sequence[T], pick: int) -> T:
    """One of the choices."""
    return choices[pick % len(choices)]


EXPECTED = {
    RunState.COMPLETED: {AnalysisStatus.READY, AnalysisStatus.RUN_COMPLETED},
    RunState.CANCELLED: {AnalysisStatus.INPUTS_GENERATION_CANCELLED, AnalysisStatus.RUN_CANCELLED},
    RunState.FAILED: {
        AnalysisStatus.INPUTS_GENERATION_ERROR,
        AnalysisStatus.INPUTS_GENERATION_NO_KEYS,
        AnalysisStatus.RUN_ERROR,
    },
}

STEPS_A_RUN = 50
STEPS = int(os.environ.get("LOSSLINE_SIMULATED_STEPS", "10000"))
"""At most, over all runs. More find more: LOSSLINE_SIMULATED_STEPS=1000000."""

TestAnyOrderOfEvents = Runs.TestCase
TestAnyOrderOfEvents.settings = settings(
    max_examples=max(1, STEPS // STEPS_A_RUN), stateful_step_count=STEPS_A_RUN, deadline=None
)
