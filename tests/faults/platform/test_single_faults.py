"""Every single fault, once, in the middle of the chunks of a run: the promise holds, and nothing is done in vain."""

import time

import pytest
from sqlalchemy import select

from shared.core.retries import Cause
from shared.database.execution import Attempt, SubTask
from tests.faults import records
from tests.faults.platform.analyses import Submitted, Work, submit
from tests.faults.platform.faults import FAULTS, Fault
from tests.faults.platform.platform import BrokenPlatform, wait
from tests.faults.platform.promise import check_promise
from tests.faults.platform.undisturbed import Undisturbed

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

CHUNK = "generate-losses-chunk"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name.replace(" ", "-"))
def test_the_promise_holds_after(fault: Fault, platform: BrokenPlatform, undisturbed: Undisturbed) -> None:
    # Given a run whose chunks compute
    analysis = submit(platform, Work())
    wait(lambda: chunks_under_way(analysis), "chunks that compute")
    # When something breaks, and is mended after a while
    fault.inject(platform)
    time.sleep(fault.lasts)
    fault.heal(platform)
    # Then the run completes with the outputs of an undisturbed one, and nothing is left behind
    check_promise(platform, [undisturbed.completed(analysis)])
    # And nothing was computed again but what had to be
    again = {slug for slug, count in executions(analysis).items() if count > 1}
    assert again <= (ended_by(fault.costs, analysis) if fault.costs else set())


def chunks_under_way(analysis: Submitted) -> list[records.Record]:
    """Loss chunks that compute at present."""
    running = records.running(analysis.platform.records(), analysis.run_uuid())
    return [record for record in running if record.slug.startswith(CHUNK)]


def executions(analysis: Submitted) -> dict[str, int]:
    """How often each sub-task was executed."""
    return records.executions(analysis.platform.records(), analysis.run_uuid())


def ended_by(cause: Cause, analysis: Submitted) -> set[str]:
    """Sub-tasks with an attempt that this has ended."""
    query = select(SubTask.slug).join(Attempt, Attempt.sub_task_id == SubTask.id)
    with analysis.platform.engine.connect() as connection:
        return set(connection.scalars(query.where(Attempt.run_id == analysis.run_id(), Attempt.cause == cause)))
