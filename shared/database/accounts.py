"""Tables of who may do what: groups and what belongs to them, attempts to log in, and the audit."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String
from sqlalchemy import Table as PlainTable
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.base import Created, Id, Table


class Group(Table):
    """A team. What belongs to groups is seen by their members only."""

    __tablename__ = "groups"
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(150), unique=True)


class LoginAttempt(Table):
    """An attempt to log in that failed; kept while it counts."""

    __tablename__ = "login_attempts"
    id: Mapped[Id]
    username: Mapped[str] = mapped_column(String(150))
    """As it was given, whether there is such an account or not; cut to its length."""
    address: Mapped[str] = mapped_column(String(64))
    at: Mapped[Created]
    __table_args__ = (Index(None, "username", "at"), Index(None, "address", "at"), Index(None, "at"))


class AuditEntry(Table):
    """Somebody changed something: written in the transaction of the change itself."""

    __tablename__ = "audit_entries"
    id: Mapped[Id]
    at: Mapped[Created]
    user_id: Mapped[int | None] = mapped_column(BigInteger)
    """No foreign key: an account that is deleted has still done what it did."""
    username: Mapped[str] = mapped_column(String(150))
    address: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64))
    """`create`, `replace`, `change`, `delete`, or what was done: `run`, `create location_file`, `log in` and so on."""
    resource: Mapped[str] = mapped_column(String(64))
    """The collection that the resource is in: `analyses`, `accounts`, …"""
    resource_id: Mapped[int | None] = mapped_column(BigInteger)
    path: Mapped[str] = mapped_column(String(1024))
    status: Mapped[int]
    """What the request was answered with."""
    __table_args__ = (Index(None, "at"), Index(None, "resource", "resource_id"), Index(None, "username"))


def _members(table: str, column: str, target: str) -> PlainTable:
    return PlainTable(
        table,
        Table.metadata,
        Column(column, ForeignKey(f"{target}.id", ondelete="CASCADE"), primary_key=True),
        Column("group_id", ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True, index=True),
    )


user_groups = _members("user_groups", "user_id", "users")
model_groups = _members("model_groups", "model_id", "models")
portfolio_groups = _members("portfolio_groups", "portfolio_id", "portfolios")
data_file_groups = _members("data_file_groups", "data_file_id", "data_files")
