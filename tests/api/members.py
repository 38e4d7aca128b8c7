"""Accounts that are members of groups, each with a client of its own."""

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as insert_new
from sqlalchemy.orm import Session

from shared.database.accounts import Group, user_groups
from shared.database.resources import User
from tests.api.api_client import Api
from tests.fakes.passwords import quick_hash

SECRET = quick_hash("secret")


def member(api: Api, session: Session, username: str, *groups: str, staff: bool = False) -> Api:
    """A client of a new account that is a member of these groups."""
    user = User(username=username, password_hash=SECRET, is_staff=staff)
    session.add(user)
    session.flush()
    for name in groups:
        session.execute(insert_new(Group).values(name=name).on_conflict_do_nothing())
        group = session.query(Group).filter_by(name=name).one()
        session.execute(insert(user_groups).values(user_id=user.id, group_id=group.id))
    session.commit()
    return Api(api.app).login(username, "secret")
