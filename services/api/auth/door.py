"""What callers are let in by, whichever server they knock at."""

from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from services.api.oidc.provider import Provider
from services.api.settings import AuthSettings


@dataclass(frozen=True)
class Door:
    """The session in which accounts are read; failed logins are counted apart, by transactions of the engine."""

    engine: Engine
    session: Session
    auth: AuthSettings
    provider: Provider | None = None
    """Who vouches for callers, where the settings name one."""
