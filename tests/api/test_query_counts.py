"""Lists and details take a bounded number of statements, however many analyses there are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert, select
from sqlalchemy.orm import Session

from shared.core.plan import Stage, plan_run, sub_tasks_of
from shared.core.states import RunKind
from shared.database.accounts import Group, portfolio_groups
from shared.database.base import Table
from shared.database.execution import Run, StageRow, SubTask
from shared.database.resources import Analysis, Portfolio
from tests.api.api_client import Api
from tests.api.members import member

MANY = 60


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements of the requests inside."""
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def _with_runs(session: Session, analyses: list[Analysis]) -> None:
    """A planned run of each, as the task controller leaves it."""
    values = {"kind": RunKind.GENERATE_AND_RUN, "run_mode": "V2", "model_queue": "q", "priority": 4, "state": "ACTIVE"}
    runs = [Run(analysis_id=each.id, run_uuid=f"u{each.id}", inputs={}, facts={}, **values) for each in analyses]
    session.add_all(runs)
    session.flush()
    stages = plan_run(RunKind.GENERATE_AND_RUN, "q", 2, 2)
    for analysis, run in zip(analyses, runs, strict=True):
        analysis.current_run_id = run.id
        session.add_all(_stages(run, stages) + _sub_tasks(run, stages))


def _stages(run: Run, stages: Sequence[Stage]) -> list[Table]:
    names = ("step", "phase", "queue", "parallel", "optional", "size")
    plain = [{name: getattr(stage, name) for name in names} for stage in stages]
    return [StageRow(run_id=run.id, position=at, pending=each["size"], **each) for at, each in enumerate(plain)]


def _sub_tasks(run: Run, stages: Sequence[Stage]) -> list[Table]:
    names = ("stage", "chunk", "slug", "name", "queue", "weight")
    plain = [{name: getattr(planned, name) for name in names} for planned in sub_tasks_of(stages)]
    return [
        SubTask(run_id=run.id, priority=4, requested_at=run.requested_at, state="PENDING", **each) for each in plain
    ]


@pytest.fixture
def team(api: Api, session: Session) -> Api:
    return member(api, session, "ours", "reds")


@pytest.fixture
def grow(api: Api, session: Session, team: Api) -> Any:
    """Make so many analyses of the team, each with a portfolio and a run of its own."""
    model = api.model(groups=["reds"])

    def make(count: int) -> list[int]:
        group = session.scalars(select(Group.id).where(Group.name == "reds")).one()
        portfolios = [Portfolio(name=f"p {number}") for number in range(count)]
        session.add_all(portfolios)
        session.flush()
        of_group = [{"portfolio_id": each.id, "group_id": group} for each in portfolios]
        if of_group:
            session.execute(insert(portfolio_groups), of_group)
        names = enumerate(portfolios)
        analyses = [Analysis(name=f"a {at}", portfolio_id=each.id, model_id=model["id"]) for at, each in names]
        session.add_all(analyses)
        session.flush()
        _with_runs(session, analyses)
        session.commit()
        return [each.id for each in analyses]

    return make


@pytest.mark.parametrize(
    "path",
    [
        "analyses/",
        "analyses/?name=a 1",
        "analyses/?name__contains=a",
        "analyses/?status=NEW",
        "analyses/?status__in=NEW,READY&limit=5&offset=1",
        "/v1/analyses/",
        "portfolios/",
        "models/",
        "analyses/{pk}/",
        "portfolios/{pk}/",
        "analyses/{pk}/sub_task_list/",
        "analyses/{pk}/runs/",
    ],
)
def test_the_number_of_statements_does_not_grow(api: Api, team: Api, engine: Engine, grow: Any, path: str) -> None:
    pk = grow(2)[0]
    counts, lengths = [], []
    for more in (0, MANY):
        grow(more)
        with counted(engine) as said:
            answer = team.get(path.format(pk=pk))
        assert answer.status_code == 200
        counts.append(len(said))
        lengths.append(len(answer.json or []))

    assert counts[0] == counts[1] <= 12
    if path in ("analyses/", "portfolios/"):
        assert lengths == [2, 2 + MANY]


def test_a_page_of_a_list_reads_no_more_than_the_page(team: Api, engine: Engine, grow: Any) -> None:
    made = grow(30)

    for path in ("analyses/", "portfolios/"):
        page: Any = team.get(f"{path}?limit=10&offset=5").json
        whole: Any = team.get(path).json
        assert page == whole[5:15]
    assert [each["id"] for each in team.get("analyses/?offset=28").json or []] == made[28:]
    assert team.get("analyses/?limit=0").json == []
    for value in ("-1", "x", "1.5", "9" * 30):
        assert team.get(f"analyses/?limit={value}").json == {"limit": ["Enter a whole number."]}
