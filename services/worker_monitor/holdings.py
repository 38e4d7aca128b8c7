"""The claims that wait for an answer, and the attempts that this worker holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event
from uuid import UUID

from services.worker_monitor.errors import GivenUp
from shared.core.retries import Cause
from shared.messages.catalogue import ClaimAnswered, Grant


class Hold:
    """One attempt that this worker executes; it may be told to give it up."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self._given_up = Event()
        self._cause: Cause | None = None

    def give_up(self, cause: Cause | None) -> None:
        """End the attempt at its next look. `cause` is what to report; None when nobody waits for a report."""
        if not self._given_up.is_set():
            self._cause = cause
            self._given_up.set()

    def check(self) -> None:
        """Raises GivenUp when the attempt must end."""
        self.wait(0.0)

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than the attempt is wanted. Raises GivenUp."""
        if self._given_up.wait(seconds):
            raise GivenUp(self._cause)


@dataclass
class Claim:
    """A claim that has been made; `hold` is what it was granted once it is answered, None for nothing."""

    answered: Event = field(default_factory=Event)
    hold: Hold | None = None


class Holdings:
    """Shared by the slots, the control messages and the heartbeat. Thread-safe."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.draining = False
        self._changed = Condition()
        self._claims: dict[UUID, Claim] = {}
        self._held: dict[UUID, Hold] = {}

    @contextmanager
    def claiming(self, claim_id: UUID) -> Iterator[Claim]:
        """A claim that can be answered while inside; a later answer is ignored, its grant ends as undelivered."""
        claim = Claim()
        with self._changed:
            self._claims[claim_id] = claim
        try:
            yield claim
        finally:
            with self._changed:
                del self._claims[claim_id]

    def answer(self, message: ClaimAnswered) -> None:
        """Note the answer of a claim. A grant is held from here on, so that what follows it on the wire finds it."""
        with self._changed:
            claim = self._claims.get(message.claim_id)
            if claim is None or claim.answered.is_set():
                return
            if message.grant is not None:
                claim.hold = Hold(message.grant)
                self._held[message.grant.attempt_id] = claim.hold
                if self.draining:
                    claim.hold.give_up(Cause.DRAINED)
            claim.answered.set()

    def finish(self, hold: Hold) -> None:
        """The attempt has been settled, one way or the other."""
        with self._changed:
            self._held.pop(hold.grant.attempt_id, None)
            self._changed.notify_all()

    def refuse(self, attempt_id: UUID) -> None:
        """The attempt is not the one that counts."""
        for hold in self.held():
            if hold.grant.attempt_id == attempt_id:
                hold.give_up(None)

    def stop_run(self, run_uuid: str) -> None:
        """Every attempt of the run ends, and confirms that."""
        for hold in self.held():
            if hold.grant.run_uuid == run_uuid:
                hold.give_up(Cause.CANCELLED)

    def held(self) -> list[Hold]:
        """The attempts that are held now."""
        with self._changed:
            return list(self._held.values())

    def drain(self, grace: float) -> None:
        """Let the attempts that are held finish within `grace` seconds, then hand them back."""
        with self._changed:
            self.draining = True
            self._changed.wait_for(lambda: not self._held, grace)
        for hold in self.held():
            hold.give_up(Cause.DRAINED)
