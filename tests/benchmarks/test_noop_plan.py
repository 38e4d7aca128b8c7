"""The platform that the benchmarks measure does what it is measured for: real services, a whole plan, real results."""

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks.gaps import stays_of
from benchmarks.places import open_places
from benchmarks.platform_under_test import VHOST, PlatformUnderTest, full_platform
from services.embedded.rabbitmq_node import find_server
from shared.core.states import AnalysisStatus, SubTaskState
from shared.database.execution import Run, SubTask
from shared.database.resources import Analysis

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def platform() -> Iterator[PlatformUnderTest]:
    """Every service, with one worker of two slots whose steps do nothing."""
    if find_server() is None:
        assert not os.environ.get("CI"), "rabbitmq-server is not installed"
        pytest.skip("rabbitmq-server is not installed")
    with open_places((VHOST,)) as places, full_platform(places, slots=2) as running:
        yield running


def test_a_whole_plan_of_steps_that_do_nothing_completes_through_the_real_services(platform: PlatformUnderTest) -> None:
    # When
    run_id = platform.request(2)
    platform.wait(run_id, within=90)
    # Then
    with Session(platform.engine) as session:
        sub_tasks = session.scalars(select(SubTask).where(SubTask.run_id == run_id)).all()
        run = session.get_one(Run, run_id)
        analysis = session.get_one(Analysis, run.analysis_id)
        assert len(sub_tasks) == 14
        assert {each.state for each in sub_tasks} == {SubTaskState.COMPLETED}
        assert analysis.status == AnalysisStatus.RUN_COMPLETED
        assert analysis.input_file_id is not None
        assert analysis.output_file_id is not None


def test_every_attempt_of_the_plan_says_when_it_ran(platform: PlatformUnderTest) -> None:
    # Given
    run_id = platform.request(2)
    platform.wait(run_id, within=90)
    # When
    stays = stays_of(platform.engine, run_id)
    # Then
    assert len(stays) == 14
    assert all(stay.started <= stay.finished for stay in stays)
