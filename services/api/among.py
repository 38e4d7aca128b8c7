"""Conditions on many ids."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, literal


def among(column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    """Whether the column is one of these, as one parameter: a statement has at most 65,535, and `IN` takes one each."""
    return column == any_(literal(list(ids), ARRAY(BigInteger)))  # type: ignore[no-any-return]
