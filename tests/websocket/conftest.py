"""A database a test, a world that moves it as the task controller does, and websocket servers on top."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import URL, Engine
from sqlalchemy.orm import Session

from services.api.auth import tokens
from services.api.auth.accounts import ensure_administrator
from services.api.settings import Administrator, AuthSettings
from services.api.websocket.settings import WebsocketSettings
from services.task_controller.settings import Settings as ControllerSettings
from shared.database.resources import User
from tests.fakes.passwords import quick_hash
from tests.task_controller.world import World
from tests.websocket.serving import Serving, serving

KEY = "a key of the tests"
NAMES = {"admin": True, "reader": False}


@pytest.fixture
def world(engine: Engine, database: URL) -> World:
    """A user, a model and a portfolio; analyses are made by the tests."""
    return World(engine, ControllerSettings(database, broker="amqp://unused/"))


@pytest.fixture
def settings(database: URL) -> WebsocketSettings:
    """Short durations, except for the patience with clients."""
    auth = AuthSettings(signing_key=KEY, administrator=Administrator("admin", "password"))
    return WebsocketSettings(database, auth, port=0, pace=0.05, look_every=0.1, ping_every=0.5)


@pytest.fixture
def users(engine: Engine, settings: WebsocketSettings) -> dict[str, int]:
    """An administrator, a user, and one who has left; their ids."""
    with Session(engine) as session, session.begin():
        session.add(User(username="admin", password_hash=quick_hash("password")))
        session.flush()
        ensure_administrator(session, settings.auth)
        session.add(User(username="reader", password_hash=quick_hash("secret")))
        session.add(User(username="gone", is_active=False))
    with Session(engine) as session:
        return {user.username: user.id for user in session.query(User)}


@pytest.fixture
def token(users: dict[str, int]) -> Callable[..., str]:
    """Make a token; everything about it may be wrong."""

    def make(user: str | int = "reader", *, key: str = KEY, kind: str = tokens.ACCESS, age: float = 0.0) -> str:
        user_id = users[user] if isinstance(user, str) else user
        return tokens.issue(
            key, kind, tokens.Owner(user_id), timedelta(hours=1), datetime.now(UTC) - timedelta(hours=age)
        )

    return make


@pytest.fixture
async def serving_now(settings: WebsocketSettings, token: Callable[..., str]) -> AsyncIterator[Serving]:
    """A server in this process."""
    async with serving(settings, token()) as running:
        yield running


@pytest.fixture
def serving_with(settings: WebsocketSettings, token: Callable[..., str]) -> Callable[..., Serving]:
    """Make a server with other settings, to be entered."""
    return lambda **changes: serving(replace(settings, **changes), token())
