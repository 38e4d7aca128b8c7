"""Finding the rows that requests name."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, select

from services.api.call import Call
from services.api.errors import BadRequest, Forbidden, NotFound
from services.api.visibility import Kind, usable, visible
from shared.database.base import Table
from shared.database.requests import current_run, lock_analysis
from shared.database.resources import Analysis, DataFile, Model, Portfolio

Row = TypeVar("Row", Model, Portfolio, DataFile)
Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])


def find(call: Call, kind: type[Row], pk: int) -> Row:
    """The row, locked unless the request only reads. Raises Forbidden for what others may change, NotFound."""
    admit(call, kind, pk)
    query = _for_writing(call, alive(select(kind).where(kind.id == pk), kind))
    row: Row | None = call.session.scalars(query).one_or_none()
    if row is None:
        raise NotFound
    return row


def find_analysis(call: Call, pk: int) -> Analysis:
    """The analysis; a request that writes holds it and its current run locked, so that its answer is one state."""
    admit(call, Analysis, pk)
    if _only_reads(call):
        analysis = call.session.get(Analysis, pk)
    else:
        analysis = lock_analysis(call.session, pk)
        if analysis is not None:
            current_run(call.session, analysis)
    if analysis is None:
        raise NotFound
    return analysis


def admit(call: Call, kind: Kind, pk: int) -> None:
    """The order is the reference's: what may not be changed is 403, then what cannot be seen is 404."""
    may = (usable(kind, call.user).label("usable"), visible(kind, call.user).label("visible"))
    query = alive(select(*may).select_from(kind).where(kind.id == pk), kind)
    access = call.session.execute(query).one_or_none()
    if access is None:
        raise NotFound
    writes = not _only_reads(call)
    if writes and not access.usable:
        raise Forbidden
    if not (access.visible or (writes and call.user.is_administrator)):
        raise NotFound


def is_usable(call: Call, row: Model) -> bool:
    """Whether the account may run, or cancel, what this model runs."""
    return bool(call.session.scalar(select(usable(Model, call.user)).where(Model.id == row.id)))


def referred(call: Call, kind: type[Row], pk: int, field: str) -> Row:
    """A row that a request's field names; it cannot be deleted before the request commits. Raises BadRequest."""
    return _all_referred(call, kind, [pk], field)[0]


def all_referred(call: Call, kind: type[Row], pks: Sequence[int], field: str) -> list[Row]:
    """Rows that a request's field names. Raises BadRequest."""
    return _all_referred(call, kind, pks, field) if pks else []


def seen(call: Call, kind: Kind) -> Select[Any]:
    """The rows that the account sees, by id."""
    return alive(select(kind).where(visible(kind, call.user)).order_by(kind.id), kind)


def alive(query: Query, kind: type[Table]) -> Query:
    """The query without deleted models."""
    return query.where(Model.deleted.is_(False)) if kind is Model else query


def _all_referred(call: Call, kind: type[Row], pks: Sequence[int], field: str) -> list[Row]:
    query = alive(select(kind).where(kind.id.in_(pks)), kind).order_by(kind.id)
    found = {row.id: row for row in call.session.scalars(_anew(query.with_for_update(read=True, key_share=True)))}
    missing = [pk for pk in pks if pk not in found]
    if missing:
        raise BadRequest({field: [f'Invalid pk "{pk}" - object does not exist.' for pk in missing]})
    _refuse_foreign(call, kind, pks)
    return [found[pk] for pk in pks]


def _refuse_foreign(call: Call, kind: type[Row], pks: Sequence[int]) -> None:
    allowed = set(call.session.scalars(select(kind.id).where(kind.id.in_(pks), usable(kind, call.user))))
    foreign = [pk for pk in pks if pk not in allowed]
    if foreign and kind is DataFile:
        raise BadRequest({"data_files": [f"You are not allowed to use data file {pk}" for pk in foreign]})
    if foreign:
        name = kind.__name__.lower()
        raise BadRequest({name: [f"You are not allowed to use this {name}"]})


def _for_writing(call: Call, query: Select[Any]) -> Select[Any]:
    return query if _only_reads(call) else _anew(query.with_for_update(key_share=True))


def _only_reads(call: Call) -> bool:
    return call.request.method in ("GET", "HEAD")


def _anew(query: Select[Any]) -> Select[Any]:
    """What is locked is read again, also where this request has read it before."""
    return query.execution_options(populate_existing=True)
