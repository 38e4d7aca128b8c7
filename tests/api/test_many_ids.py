"""What lists ask about each of their elements has no limit of elements."""

import pytest
from sqlalchemy.orm import Session

from services.api.among import among
from services.api.groups import group_names
from services.api.progress import progress_of
from shared.database.resources import Portfolio

MOST_PARAMETERS = 65_535
"""Of one statement, by the protocol of PostgreSQL."""


@pytest.fixture
def portfolios(session: Session) -> list[int]:
    """The ids of three portfolios."""
    rows = [Portfolio(name=name) for name in ("one", "two", "three")]
    session.add_all(rows)
    session.flush()
    return [row.id for row in rows]


def test_progress_and_groups_are_had_of_more_than_a_statement_has_parameters(session: Session) -> None:
    many = range(1, MOST_PARAMETERS + 10)

    assert len(progress_of(session, many)) == len(many)
    assert group_names(session, Portfolio, many) == {}


def test_only_rows_with_one_of_the_ids_are_found(session: Session, portfolios: list[int]) -> None:
    one, _, three = portfolios

    found = session.query(Portfolio.id).where(among(Portfolio.id, {one, three}))

    assert {row.id for row in found} == {one, three}
    assert session.query(Portfolio.id).where(among(Portfolio.id, ())).all() == []
