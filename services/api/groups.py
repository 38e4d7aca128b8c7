"""The groups of models, portfolios and data files: read for many at once, and set."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_new
from sqlalchemy.orm import Session

from services.api.among import among
from services.api.call import Call
from services.api.errors import BadRequest
from services.api.group_rules import WrongGroups, chosen, unknown
from services.api.visibility import MEMBERSHIPS
from shared.database.accounts import Group
from shared.database.resources import DataFile, Model, Portfolio

Grouped = Model | Portfolio | DataFile


def group_names(session: Session, kind: type[Grouped], ids: Collection[int]) -> Mapping[int, list[str]]:
    """The names of the groups of each of these, in their order; nothing for what belongs to none."""
    table, column, _ = MEMBERSHIPS[kind]
    query = select(table.c[column], Group.name).join(Group, Group.id == table.c.group_id)
    found: dict[int, list[str]] = {}
    for pk, name in session.execute(query.where(among(table.c[column], ids)).order_by(Group.name)) if ids else ():
        found.setdefault(pk, []).append(name)
    return found


def groups_of(call: Call, row: Grouped) -> list[str]:
    """The names of the groups of one."""
    return group_names(call.session, type(row), [row.id]).get(row.id, [])


def change_groups(call: Call, row: Grouped, values: Mapping[str, Any], *, partial: bool) -> None:
    """Set the groups of a stored row as PUT or PATCH want; PATCH, and v1, which knows none, may leave them."""
    if "groups" in values or not (partial or call.version == "v1"):
        set_groups(call, row, values.get("groups"))


def set_groups(call: Call, row: Grouped, wanted: Sequence[str] | None) -> None:
    """Put a stored row into the groups that are wanted, without a wish into those of who asks. Raises BadRequest."""
    account = call.user
    own = tuple(account.groups.values())
    try:
        if wanted:
            _make(call, unknown(wanted, _known(call, wanted), by_administrator=account.is_administrator))
        names = chosen(wanted, own, by_administrator=account.is_administrator)
    except WrongGroups as error:
        raise BadRequest(error.errors) from error
    _replace(call, row, names)


def _known(call: Call, names: Sequence[str]) -> set[str]:
    return set(call.session.scalars(select(Group.name).where(Group.name.in_(names))))


def _make(call: Call, names: Sequence[str]) -> None:
    if names:
        new = insert_new(Group).values([{"name": name} for name in names])
        call.session.execute(new.on_conflict_do_nothing(index_elements=["name"]))


def _replace(call: Call, row: Grouped, names: Sequence[str]) -> None:
    table, column, _ = MEMBERSHIPS[type(row)]
    call.session.execute(delete(table).where(table.c[column] == row.id))
    ids = call.session.scalars(select(Group.id).where(Group.name.in_(names))).all() if names else []
    if ids:
        call.session.execute(insert(table), [{column: row.id, "group_id": group_id} for group_id in ids])
