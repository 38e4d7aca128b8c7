"""Query parameters of the lists. Source: oasis_api.md section 0 and the tables of section 1."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Function, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute
from werkzeug.datastructures import MultiDict

from services.api.errors import BadRequest
from services.api.http import is_storable
from services.api.schemas.fields import as_id
from shared.database.resources import User

Column = InstrumentedAttribute[Any] | Function[Any]
Filter = Callable[[str, list[str]], ColumnElement[bool]]
"""From the name and the values of a parameter to a condition. Raises BadRequest."""

Filters = Mapping[str, Filter]

LATEST_YEAR = 9999
"""Of Python's calendar: the day after its last one cannot be computed."""

LONGEST_COUNT = 18
"""Digits of a limit or an offset that the database can take."""

_DATE_FORMATS = ("%Y-%m-%d", "%m/%d/%Y", "%m/%d/%y")


def filtered(query: Select[Any], filters: Filters, values: MultiDict[str, str]) -> Select[Any]:
    """The query with every parameter applied that is known and not empty. Raises BadRequest."""
    for name, make in filters.items():
        given = [value for value in values.getlist(name) if value.strip()]
        if any(not is_storable(value) for value in given):
            raise BadRequest({name: ["Null characters are not allowed."]})
        if given:
            query = query.where(make(name, given))
    return query


def paged(query: Select[Any], values: MultiDict[str, str], default: int | None = None) -> Select[Any]:
    """The part of a list that `limit` and `offset` name: all of it where they do not. Raises BadRequest.

    The reference has no pages and clients expect bare arrays: these change which elements there are, and no more.
    """
    limit, offset = _count("limit", values, default), _count("offset", values, None)
    query = query if limit is None else query.limit(limit)
    return query if offset is None else query.offset(offset)


def _count(name: str, values: MultiDict[str, str], default: int | None) -> int | None:
    text = values.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_COUNT):
        raise BadRequest({name: ["Enter a whole number."]})
    return int(text)


def text_filters(**columns: Column) -> dict[str, Filter]:
    """For each column `name` and `name__contains`, both without regard to case."""
    filters: dict[str, Filter] = {}
    for name, column in columns.items():
        filters[name] = _equals(column)
        filters[f"{name}__contains"] = _contains(column)
    return filters


def time_filters(created: Column, modified: Column) -> dict[str, Filter]:
    """The twelve filters by time."""
    return moment_filters("created", created) | moment_filters("modified", modified)


def moment_filters(name: str, column: Column) -> dict[str, Filter]:
    """The six filters of one point in time."""
    return {
        name: _compared(column, lambda column, moment: column == moment),
        f"{name}__date": _compared(column, _on_day),
        f"{name}__gte": _compared(column, lambda column, moment: column >= moment),
        f"{name}__lte": _compared(column, lambda column, moment: column <= moment),
        f"{name}__gt": _compared(column, lambda column, moment: column > moment),
        f"{name}__lt": _compared(column, lambda column, moment: column < moment),
    }


def user_filter(creator: Column) -> dict[str, Filter]:
    """`user`: the name of the creator."""

    def make(_name: str, values: list[str]) -> ColumnElement[bool]:
        return creator.in_(select(User.id).where(func.lower(User.username) == values[-1].strip().lower()))

    return {"user": make}


def choice_filters(name: str, column: Column, choices: tuple[str, ...]) -> dict[str, Filter]:
    """`name` and `name__in`, of a few words."""

    def make(name: str, values: list[str]) -> ColumnElement[bool]:
        for value in values:
            if value not in choices:
                text = f"Select a valid choice. {value} is not one of the available choices."
                raise BadRequest({name: [text]})
        return column.in_(values)

    return {
        name: lambda name, values: make(name, values[-1:]),
        f"{name}__in": lambda name, values: make(name, split(values)),
    }


def id_filters(name: str, column: Column) -> dict[str, Filter]:
    """`name` and `name__in`, of ids."""

    def one(name: str, values: list[str]) -> ColumnElement[bool]:
        refusal = "Select a valid choice. That choice is not one of the available choices."
        return column == _id(name, values[-1], refusal)

    def several(name: str, values: list[str]) -> ColumnElement[bool]:
        return column.in_([_id(name, value, "Enter a number.") for value in split(values)])

    return {name: one, f"{name}__in": several}


def split(values: list[str]) -> list[str]:
    """Repeated parameters and comma-separated ones alike."""
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _id(name: str, value: str, refusal: str) -> int:
    pk = as_id(value)
    if pk is None:
        raise BadRequest({name: [refusal]})
    return pk


def _equals(column: Column) -> Filter:
    return lambda _name, values: func.lower(column) == values[-1].strip().lower()


def _contains(column: Column) -> Filter:
    return lambda _name, values: column.icontains(values[-1].strip(), autoescape=True)


def _on_day(column: Column, moment: datetime) -> ColumnElement[bool]:
    return (column >= moment) & (column < moment + timedelta(days=1))


def _compared(column: Column, compare: Callable[[Column, datetime], ColumnElement[bool]]) -> Filter:
    def make(name: str, values: list[str]) -> ColumnElement[bool]:
        day = _day(values[-1].strip())
        if day is None:
            raise BadRequest({name: ["Enter a valid date."]})
        return compare(column, datetime(day.year, day.month, day.day, tzinfo=UTC))

    return make


def _day(text: str) -> date | None:
    for form in _DATE_FORMATS:
        try:
            day = datetime.strptime(text, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
        return day if day.year < LATEST_YEAR else None
    return None
