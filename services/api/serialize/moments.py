"""Points in time as clients parse them."""

from datetime import UTC, datetime


def moment(value: datetime | None) -> str | None:
    """UTC with six digits of a second, always; null stays null."""
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
