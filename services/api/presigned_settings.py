"""Whether clients may move files straight from and to the object store."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Self

from shared.settings import BadSetting, Options

LONGEST = 7 * 24 * 3600
"""Seconds: S3 signs for no longer."""


class Presigned(StrEnum):
    """Which downloads are answered with an address at the store."""

    NEVER = "never"
    ASKED = "asked"
    ALWAYS = "always"


@dataclass(frozen=True)
class PresignedSettings:
    """They hold for an S3 server only; files in a directory always go through the API."""

    downloads: Presigned = Presigned.NEVER
    uploads: bool = False
    good_for: timedelta = timedelta(hours=1)

    @classmethod
    def from_options(cls, options: Options) -> Self:
        """Raises BadSetting."""
        seconds = options.integer("AWS_QUERYSTRING_EXPIRE", int(cls.good_for.total_seconds()), least=1)
        if seconds > LONGEST:
            raise BadSetting("OASIS_AWS_QUERYSTRING_EXPIRE", str(seconds), f"at most {LONGEST} seconds")
        return cls(
            downloads=_downloads(options.text("PRESIGNED_DOWNLOADS", cls.downloads)),
            uploads=options.flag("PRESIGNED_UPLOADS", default=cls.uploads),
            good_for=timedelta(seconds=seconds),
        )


def _downloads(text: str) -> Presigned:
    try:
        return Presigned(text.lower())
    except ValueError:
        raise BadSetting("OASIS_SERVER_PRESIGNED_DOWNLOADS", text, f"one of {', '.join(Presigned)}") from None
