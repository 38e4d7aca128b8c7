"""Who may connect, and to what. Source: oasis_api.md section 5."""

import asyncio
import json
import logging
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Request as HttpRequest
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from services.api.auth.accounts import Account
from services.api.auth.authenticate import authenticate
from services.api.auth.door import Door
from services.api.errors import ApiError, Forbidden, NotAuthenticated, ProviderDown
from services.api.http import SUB_PATH
from services.api.oidc.provider import Provider
from services.api.websocket.settings import WebsocketSettings

log = logging.getLogger(__name__)


class Place(Enum):
    """What a path leads to."""

    QUEUE_STATUS = auto()
    ANALYSIS_STATUS = auto()
    HEALTH = auto()


_PLACES = {
    "/ws/v2/queue-status/": Place.QUEUE_STATUS,
    "/ws/analysis-status/": Place.ANALYSIS_STATUS,
    "/healthcheck/": Place.HEALTH,
}


def place_of(path: str) -> Place | None:
    """What the path of a request leads to: like the reference by its beginning, and below `/api` too."""
    plain = urlsplit(path).path.removeprefix(SUB_PATH)
    ended = plain if plain.endswith("/") else f"{plain}/"
    return next((place for beginning, place in _PLACES.items() if ended.startswith(beginning)), None)


class Admission:
    """Answers the opening handshake: None lets the client in. `problem` says why the server is not well, or nothing."""

    def __init__(
        self,
        engine: Engine,
        settings: WebsocketSettings,
        problem: Callable[[], str | None],
        provider: Provider | None = None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._problem = problem
        self._provider = provider

    async def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request that is not let in."""
        place = place_of(request.path)
        if place is None:
            return _answer(connection, HTTPStatus.NOT_FOUND, {"detail": "Not found."})
        if place is Place.HEALTH:
            problem = self._problem()
            status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
            return _answer(connection, status, {"status": f"ERROR - {problem}" if problem else "OK"})
        try:
            await asyncio.to_thread(self._admit, place, _as_http(connection, request))
        except ApiError as error:
            reason = error.reason if isinstance(error, ProviderDown) else str(error.body)
            facts = {"client": connection.remote_address, "status": error.status, "reason": reason}
            log.info("A client was refused", extra=facts)
            return _answer(connection, HTTPStatus(error.status), error.body)
        except SQLAlchemyError as error:
            log.warning("A client could not be authenticated", extra={"reason": str(error)})
            detail = "The database does not answer. Try again later."
            return _answer(connection, HTTPStatus.SERVICE_UNAVAILABLE, {"detail": detail})
        return None

    def _admit(self, place: Place, request: HttpRequest) -> None:
        if place is Place.ANALYSIS_STATUS:
            if not self._settings.analysis_status_open:
                admit_reporter(self._account(request))
        elif _has_token(request) or self._settings.auth.disabled:
            self._account(request)
        else:
            raise NotAuthenticated

    def _account(self, request: HttpRequest) -> Account:
        with Session(self._engine) as session:
            return authenticate(request, Door(self._engine, session, self._settings.auth, self._provider))


def admit_reporter(account: Account) -> None:
    """Only administrators, service accounts among them, may tell of progress. Raises Forbidden."""
    if not account.is_administrator:
        raise Forbidden


def _as_http(connection: ServerConnection, request: Request) -> HttpRequest:
    """The handshake as a request of the API, so that both are authenticated by the same code."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": urlsplit(request.path).path}
    authorization = request.headers.get_all("Authorization")
    if authorization:
        environ["HTTP_AUTHORIZATION"] = authorization[-1]
    return HttpRequest(environ | {"REMOTE_ADDR": str(connection.remote_address[0])})


def _has_token(request: HttpRequest) -> bool:
    return request.headers.get("Authorization", "").lower().startswith("bearer ")


def _answer(connection: ServerConnection, status: HTTPStatus, body: object) -> Response:
    response = connection.respond(status, json.dumps(body))
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
