"""Accounts are made at first sight, with the groups that the newest token tells of."""

import time
from collections.abc import Callable

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from shared.database.resources import User
from tests.api.api_client import Api
from tests.api.oidc.running_provider import RunningProvider


class Person(Api):
    """A client with a token."""

    def __init__(self, api: Api, token: str) -> None:
        super().__init__(api.app)
        self.headers = {"Authorization": f"Bearer {token}"}


def test_a_person_is_made_once_with_name_and_groups(oidc_api: Api, issuing: RunningProvider, session: Session) -> None:
    bo = Person(oidc_api, issuing.token(groups=["/team-a", "plain", "/", "x" * 200, 7, "a\0b"]))
    created = bo.create("portfolios/", {"name": "a"})
    bo.get("portfolios/")

    assert created["groups"] == ["plain", "team-a"]
    user = session.scalars(select(User).where(User.subject == "sub-bo")).one()
    assert (user.username, user.issuer, user.password_hash) == ("bo", issuing.url, None)
    assert not any((user.is_staff, user.is_superuser, user.is_service))
    assert bo.get("workers/").status_code == 403


def test_members_of_the_group_admin_administer_as_long_as_they_are_members(
    oidc_api: Api, issuing: RunningProvider
) -> None:
    now = int(time.time())
    former = issuing.token(groups=["admin"], iat=now - 20)
    assert Person(oidc_api, former).get("workers/").status_code == 200

    assert Person(oidc_api, issuing.token(groups=[], iat=now - 10)).get("workers/").status_code == 403
    assert Person(oidc_api, former).get("workers/").status_code == 403, "the newest token says what one may do"


def test_what_another_group_has_is_out_of_reach(oidc_api: Api, issuing: RunningProvider) -> None:
    bo, cy = Person(oidc_api, issuing.token()), Person(oidc_api, issuing.token(sub="sub-cy", groups=["team-b"]))
    portfolio = bo.portfolio()
    analysis = bo.analysis(portfolio)

    for path in (f"portfolios/{portfolio['id']}/", f"analyses/{analysis['id']}/"):
        assert bo.get(path).status_code == 200
        assert cy.get(path).status_code == 404
        assert cy.patch(path, {"name": "b"}).status_code == 403
        assert cy.delete(path).status_code == 403
    assert cy.post(f"analyses/{analysis['id']}/generate_inputs/").status_code == 403
    assert cy.get("portfolios/").json == cy.get("analyses/").json == []


def test_nobody_becomes_an_account_that_is_there_by_naming_himself_so(
    oidc_api: Api, issuing: RunningProvider, session: Session
) -> None:
    Person(oidc_api, issuing.token(sub="sub-evil", preferred_username="admin")).create("portfolios/", {"name": "a"})

    made = session.scalars(select(User).where(User.subject == "sub-evil")).one()
    assert made.username.startswith("admin-")
    assert not made.is_superuser


def test_groups_that_the_token_leaves_out_are_asked_for(oidc_api: Api, issuing: RunningProvider) -> None:
    bo = Person(oidc_api, issuing.token(groups=None))

    assert bo.create("portfolios/", {"name": "a"})["groups"] == ["deep/er", "team-a"]
    assert Person(oidc_api, issuing.token(groups=None, sub="unheard-of")).get("portfolios/").json == []
    assert Person(oidc_api, issuing.token(groups=None, sub="sub-liar")).get("portfolios/").status_code == 403


def test_groups_that_change_at_the_provider_change_here_within_a_minute(
    api_of: Callable[..., Api], issuing: RunningProvider
) -> None:
    now = [0.0]
    dee = Person(api_of(issuing, clock=lambda: now[0]), issuing.token(groups=None, sub="sub-dee"))
    portfolio = dee.create("portfolios/", {"name": "a"})
    assert portfolio["groups"] == ["team-a"]

    issuing.ask("regroup", {"sub": "sub-dee", "groups": ["team-b"]})

    assert dee.get(f"portfolios/{portfolio['id']}/").status_code == 200
    now[0] += 60.0
    assert dee.get(f"portfolios/{portfolio['id']}/").status_code == 404
    assert dee.create("portfolios/", {"name": "a"})["groups"] == ["team-b"]


def test_a_closed_account_opens_nothing(
    oidc_api: Api, issuing: RunningProvider, session: Session, api_of: Callable[..., Api]
) -> None:
    bo = Person(oidc_api, issuing.token())
    assert bo.get("models/").status_code == 200
    session.execute(update(User).where(User.subject == "sub-bo").values(is_active=False))
    session.commit()

    for each in (bo, Person(oidc_api, issuing.token(iat=int(time.time()) + 2))):
        answer = each.get("models/")
        assert (answer.status_code, (answer.json or {})["code"]) == (403, "user_inactive")
