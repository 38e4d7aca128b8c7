"""Finding the rows that requests name."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, select

from services.api.call import Call
from services.api.errors import BadRequest, NotFound
from shared.database.base import Table
from shared.database.requests import current_run, lock_analysis
from shared.database.resources import Analysis, DataFile, Model, Portfolio

Row = TypeVar("Row", Model, Portfolio, DataFile)


def find(call: Call, kind: type[Row], pk: int) -> Row:
    """The row, locked unless the request only reads. Raises NotFound."""
    row: Row | None = call.session.scalars(
        _for_writing(call, alive(select(kind).where(kind.id == pk), kind))
    ).one_or_none()
    if row is None:
        raise NotFound
    return row


def find_analysis(call: Call, pk: int) -> Analysis:
    """The analysis; a request that writes holds it and its current run locked, so that its answer is one state."""
    if call.request.method in ("GET", "HEAD"):
        analysis = call.session.get(Analysis, pk)
    else:
        analysis = lock_analysis(call.session, pk)
        if analysis is not None:
            current_run(call.session, analysis)
    if analysis is None:
        raise NotFound
    return analysis


def referred(call: Call, kind: type[Row], pk: int, field: str) -> Row:
    """A row that a request's field names; it cannot be deleted before the request commits. Raises BadRequest."""
    return _all_referred(call, kind, [pk], field)[0]


def all_referred(call: Call, kind: type[Row], pks: Sequence[int], field: str) -> list[Row]:
    """Rows that a request's field names. Raises BadRequest."""
    return _all_referred(call, kind, pks, field) if pks else []


def alive(query: Select[Any], kind: type[Table]) -> Select[Any]:
    """The query without deleted models."""
    return query.where(Model.deleted.is_(False)) if kind is Model else query


def _all_referred(call: Call, kind: type[Row], pks: Sequence[int], field: str) -> list[Row]:
    query = alive(select(kind).where(kind.id.in_(pks)), kind).order_by(kind.id)
    found = {row.id: row for row in call.session.scalars(_anew(query.with_for_update(read=True, key_share=True)))}
    missing = [pk for pk in pks if pk not in found]
    if missing:
        raise BadRequest({field: [f'Invalid pk "{pk}" - object does not exist.' for pk in missing]})
    return [found[pk] for pk in pks]


def _for_writing(call: Call, query: Select[Any]) -> Select[Any]:
    return query if call.request.method in ("GET", "HEAD") else _anew(query.with_for_update(key_share=True))


def _anew(query: Select[Any]) -> Select[Any]:
    """What is locked is read again, also where this request has read it before."""
    return query.execution_options(populate_existing=True)
