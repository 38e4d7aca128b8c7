"""Accounts of a provider in our own tables: made at first sight, and kept as its newest token tells of them."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Engine, delete, exists, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_new
from sqlalchemy.orm import Session

from services.api.auth.accounts import Account, account_of
from services.api.auth.tokens import REVOKED, InvalidToken
from services.api.errors import NotAuthenticated
from services.api.oidc.identity import Identity
from shared.database.accounts import Group, user_groups
from shared.database.resources import RevokedToken, User


def account_for(engine: Engine, session: Session, identity: Identity) -> Account:
    """The account. Raises InvalidToken where the token is revoked, NotAuthenticated where the account is closed.

    What has changed is committed by a transaction of its own: the request may be one that only reads. That of the
    session is ended before, so that what follows sees the account, and nobody holds two connections.
    """
    is_revoked = exists().where(RevokedToken.jti == identity.digest)
    row = session.execute(select(User, is_revoked).where(*_is(identity))).one_or_none()
    if row is not None and row[1]:
        raise InvalidToken(REVOKED)
    if row is not None and row[0].claims_at is not None and row[0].claims_at >= identity.as_of:
        user, account = row[0], account_of(session, row[0])
    else:
        session.commit()
        with Session(engine, expire_on_commit=False) as own, own.begin():
            user = _bring_up_to_date(own, identity)
            account = account_of(own, user)
    if not user.is_active:
        raise NotAuthenticated({"detail": "User is inactive", "code": "user_inactive"})
    return account


def _bring_up_to_date(session: Session, identity: Identity) -> User:
    user = _stored(session, identity) or _made(session, identity)
    if user.claims_at is None or user.claims_at < identity.as_of:
        user.claims_at = identity.as_of
        user.is_service = identity.is_service
        user.is_staff = user.is_superuser = identity.is_administrator
        _replace_groups(session, user, identity.groups)
        session.flush()
    return user


def _made(session: Session, identity: Identity) -> User:
    for username in (identity.username, identity.another_username):
        # It may be there since, or somebody else have the name.
        values = {"username": username, "issuer": identity.issuer, "subject": identity.subject}
        session.execute(insert_new(User).values(values).on_conflict_do_nothing())
        user = _stored(session, identity)
        if user is not None:
            return user
    raise NotAuthenticated({"detail": f"There is another account named {identity.another_username!r}."})


def _stored(session: Session, identity: Identity) -> User | None:
    return session.scalars(select(User).where(*_is(identity)).with_for_update()).one_or_none()


def _is(identity: Identity) -> tuple[ColumnElement[bool], ...]:
    return User.issuer == identity.issuer, User.subject == identity.subject


def _replace_groups(session: Session, user: User, groups: Collection[str]) -> None:
    # In one order, so that two who make the same groups do not wait for each other.
    names = sorted(groups)
    if names:
        new = insert_new(Group).values([{"name": name} for name in names])
        session.execute(new.on_conflict_do_nothing(index_elements=["name"]))
    ids = session.scalars(select(Group.id).where(Group.name.in_(names))).all() if names else ()
    session.execute(delete(user_groups).where(user_groups.c.user_id == user.id))
    if ids:
        session.execute(insert(user_groups), [{"user_id": user.id, "group_id": group_id} for group_id in ids])
