"""Uploads that clients make straight to the object store."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from shared.database.base import Created, Id, Moment, Table


class PresignedUpload(Table):
    """A form that somebody was given, for one file of one portfolio. Its object is looked at when it is completed.

    The note of its removal is written with it, so that whatever becomes of it, no object is left.
    """

    __tablename__ = "presigned_uploads"
    id: Mapped[Id]
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"), index=True)
    field: Mapped[str] = mapped_column(String(64))
    """Which file of the portfolio: `location_file`, …"""
    key: Mapped[str] = mapped_column(String(1024))
    filename: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(255))
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created: Mapped[Created]
    expires: Mapped[Moment] = mapped_column(index=True)
    """Until then the store takes the form."""
    completed: Mapped[Moment | None]
