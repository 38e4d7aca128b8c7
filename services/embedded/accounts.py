"""The accounts of a platform, as `lossline user` makes and changes them, in the transaction of the caller.

What is changed is noted in the audit, in the name of the command: whoever may use it reaches the database anyway.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_new
from sqlalchemy.orm import Session

from services.embedded.errors import EmbeddedError
from shared.database.accounts import AuditEntry, Group, user_groups
from shared.database.resources import User
from shared.passwords import hash_password

COMMAND = "lossline user"
LONGEST_NAME = 150
SHORTEST_PASSWORD = 8


class BadAccount(EmbeddedError):
    """The account cannot be made or changed so."""


class NoSuchAccount(EmbeddedError):
    """There is no such account."""

    def __init__(self, username: str) -> None:
        self.username = username
        super().__init__(f"There is no account '{username}'; `lossline user list` names them.")


@dataclass(frozen=True)
class Kind:
    """What an account may do, and whose it is."""

    is_staff: bool = False
    is_superuser: bool = False
    is_service: bool = False


@dataclass(frozen=True)
class Person:
    """An account as it is listed."""

    username: str
    kind: Kind
    is_active: bool
    groups: tuple[str, ...]


def people(session: Session) -> list[Person]:
    """All accounts by name."""
    named = select(user_groups.c.user_id, Group.name).join(Group, Group.id == user_groups.c.group_id)
    groups: dict[int, list[str]] = {}
    for user_id, name in session.execute(named.order_by(Group.name)):
        groups.setdefault(user_id, []).append(name)
    return [
        Person(
            user.username,
            Kind(user.is_staff, user.is_superuser, user.is_service),
            user.is_active,
            tuple(groups.get(user.id, ())),
        )
        for user in session.scalars(select(User).order_by(User.username))
    ]


def add(session: Session, username: str, password: str, kind: Kind, groups: Sequence[str]) -> None:
    """A new account. Raises BadAccount."""
    _check_name(username, "an account")
    _check_password(password)
    values = {"is_staff": kind.is_staff, "is_superuser": kind.is_superuser, "is_service": kind.is_service}
    new = insert_new(User).values(username=username, password_hash=hash_password(password), **values)
    user_id = session.scalar(new.on_conflict_do_nothing(index_elements=["username"]).returning(User.id))
    if user_id is None:
        raise BadAccount(f"There is an account '{username}' already; `lossline user passwd` sets its password.")
    _replace_groups(session, user_id, groups)
    _note(session, "create", user_id)


def set_password(session: Session, username: str, password: str) -> None:
    """A new password; tokens issued for the old one are good no more. Raises BadAccount, NoSuchAccount."""
    _check_password(password)
    user = _find(session, username)
    user.password_hash = hash_password(password)
    user.token_generation += 1
    _note(session, "change password", user.id)


def set_active(session: Session, username: str, active: bool) -> None:
    """Close the account, so that neither its password nor its tokens open anything, or open it again."""
    user = _find(session, username)
    user.is_active = active
    user.token_generation += 0 if active else 1
    _note(session, "enable" if active else "disable", user.id)


def set_groups(session: Session, username: str, groups: Sequence[str]) -> None:
    """The account is a member of these and no others; groups that are not there are made. Raises BadAccount."""
    user = _find(session, username)
    _replace_groups(session, user.id, groups)
    _note(session, "change groups", user.id)


def groups_of(session: Session, username: str) -> tuple[str, ...]:
    """The groups of an account. Raises NoSuchAccount."""
    query = select(Group.name).join(user_groups, user_groups.c.group_id == Group.id)
    return tuple(
        session.scalars(query.where(user_groups.c.user_id == _find(session, username).id).order_by(Group.name))
    )


def _find(session: Session, username: str) -> User:
    user = session.scalars(select(User).where(User.username == username).with_for_update()).one_or_none()
    if user is None:
        raise NoSuchAccount(username)
    return user


def _replace_groups(session: Session, user_id: int, groups: Iterable[str]) -> None:
    names = sorted(set(groups))
    for name in names:
        _check_name(name, "a group")
    session.execute(delete(user_groups).where(user_groups.c.user_id == user_id))
    if names:
        new = insert_new(Group).values([{"name": name} for name in names])
        session.execute(new.on_conflict_do_nothing(index_elements=["name"]))
        ids = session.scalars(select(Group.id).where(Group.name.in_(names)))
        session.execute(insert(user_groups), [{"user_id": user_id, "group_id": group_id} for group_id in ids])


def _check_name(name: str, what: str) -> None:
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip() or ":" in name:
        rule = f"1 to {LONGEST_NAME} printable characters, no colon"
        raise BadAccount(f"'{name}' cannot be the name of {what}: {rule}.")


def _check_password(password: str) -> None:
    if len(password) < SHORTEST_PASSWORD or "\0" in password:
        raise BadAccount(f"A password has at least {SHORTEST_PASSWORD} characters.")


def _note(session: Session, action: str, user_id: int) -> None:
    entry = AuditEntry(username=COMMAND, address="", action=action, resource="accounts", resource_id=user_id)
    entry.path, entry.status = "", 0
    session.add(entry)
