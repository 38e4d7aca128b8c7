"""What callers are let in by, whichever server they knock at."""

from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.api.settings import AuthSettings


@dataclass(frozen=True)
class Door:
    """The session in which accounts are read; failed logins are counted apart, by transactions of the engine."""

    engine: Engine
    session: Session
    auth: AuthSettings
