"""Who may see and use what, as conditions of queries. Source: oasis_api.md section 1.1, "Roles and groups".

Models, portfolios and data files belong to groups, or to none; an analysis belongs to those of its portfolio. Without
groups one sees what belongs to none; with groups only what shares one of them. What one may use, change or delete
belongs to none or shares one. Superusers see everything; administrators may change everything.
"""

from sqlalchemy import ColumnElement, Table, exists, not_, true
from sqlalchemy.orm import InstrumentedAttribute

from services.api.auth.accounts import Account
from shared.database.accounts import data_file_groups, model_groups, portfolio_groups
from shared.database.resources import Analysis, DataFile, Model, Portfolio

Kind = type[Model] | type[Portfolio] | type[DataFile] | type[Analysis]

MEMBERSHIPS: dict[Kind, tuple[Table, str, InstrumentedAttribute[int]]] = {
    Model: (model_groups, "model_id", Model.id),
    Portfolio: (portfolio_groups, "portfolio_id", Portfolio.id),
    DataFile: (data_file_groups, "data_file_id", DataFile.id),
    Analysis: (portfolio_groups, "portfolio_id", Analysis.portfolio_id),
}
"""The table that says which groups a resource belongs to, its column, and what that refers to."""


def visible(kind: Kind, account: Account) -> ColumnElement[bool]:
    """What the account finds in lists and by id."""
    if account.is_superuser:
        return true()
    if kind is Analysis:
        return _groupless(kind) | _shared(kind, account)
    return _shared(kind, account) if account.groups else _groupless(kind)


def usable(kind: Kind, account: Account) -> ColumnElement[bool]:
    """What the account may change, delete, or name in something of its own."""
    return true() if account.is_administrator else _groupless(kind) | _shared(kind, account)


def _groupless(kind: Kind) -> ColumnElement[bool]:
    table, column, refers_to = MEMBERSHIPS[kind]
    return not_(exists().where(table.c[column] == refers_to))


def _shared(kind: Kind, account: Account) -> ColumnElement[bool]:
    table, column, refers_to = MEMBERSHIPS[kind]
    return exists().where(table.c[column] == refers_to, table.c.group_id.in_(account.groups))
