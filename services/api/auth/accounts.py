"""Accounts: finding them, and the administrator that exists from the start."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api.settings import AuthSettings
from shared.database.accounts import Group, user_groups
from shared.database.resources import User
from shared.passwords import hash_password, verify_password


@dataclass(frozen=True)
class Account:
    """Who asks."""

    id: int
    username: str
    is_staff: bool
    is_superuser: bool
    groups: Mapping[int, str] = field(default_factory=dict)
    """Name by id of the groups that the account is a member of."""

    @property
    def is_administrator(self) -> bool:
        """Whether what is kept for administrators is allowed."""
        return self.is_staff or self.is_superuser


def account_of(session: Session, user: User) -> Account:
    """The account of a row, with its groups."""
    query = select(Group.id, Group.name).join(user_groups, user_groups.c.group_id == Group.id)
    rows = session.execute(query.where(user_groups.c.user_id == user.id).order_by(Group.name))
    return Account(user.id, user.username, user.is_staff, user.is_superuser, {row.id: row.name for row in rows})


def find_by_password(session: Session, username: str, password: str) -> User | None:
    """The active user with these credentials."""
    user = session.scalars(select(User).where(User.username == username, User.is_active)).one_or_none()
    return user if verify_password(user.password_hash if user else None, password) else None


def first_superuser(session: Session) -> User | None:
    """Who owns what is made while authentication is disabled."""
    query = select(User).where(User.is_superuser, User.is_active).order_by(User.id).limit(1)
    return session.scalars(query).one_or_none()


def ensure_administrator(session: Session, auth: AuthSettings) -> None:
    """Make the account that the settings name, or bring it up to date; `admin` where disabled and there is nobody."""
    if auth.administrator is not None:
        user = _named(session, auth.administrator.username)
        if not verify_password(user.password_hash, auth.administrator.password):
            # Tokens that were issued for the earlier password are good no more.
            user.token_generation = 0 if user.password_hash is None else user.token_generation + 1
            user.password_hash = hash_password(auth.administrator.password)
    elif auth.disabled and first_superuser(session) is None:
        user = _named(session, "admin")
    else:
        return
    user.is_active = user.is_staff = user.is_superuser = True
    session.flush()


def _named(session: Session, username: str) -> User:
    user = session.scalars(select(User).where(User.username == username).with_for_update()).one_or_none()
    if user is None:
        user = User(username=username, is_active=True)
        session.add(user)
    return user
