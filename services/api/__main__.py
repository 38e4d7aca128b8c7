"""The API service: settings, log, database, store, application, server.

Order of shutdown: requests under way are finished; the store is closed; the database's connections close.
"""

import os
import sys
from contextlib import ExitStack
from functools import partial

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.api.app import create_app
from services.api.auth.accounts import ensure_administrator
from services.api.broker import check_broker
from services.api.dependencies import Dependencies
from services.api.oidc.provider import open_provider
from services.api.request_ids import log_request_ids
from services.api.server import Server
from services.api.settings import ApiSettings, InsecureSettings
from shared.database.engine import open_engine
from shared.object_store import InvalidObjectStoreSettings, open_object_store
from shared.service import configure_logging
from shared.settings import BadSetting
from shared.tracing import open_tracer


def main() -> int:
    """Serve until SIGTERM. Exit status 1 where the database cannot be used, 2 for settings that cannot."""
    try:
        settings = ApiSettings.from_environ(os.environ)
        configure_logging("api", settings.log_level)
        log_request_ids()
        prepare(settings)
    except (BadSetting, InsecureSettings, InvalidObjectStoreSettings, OSError) as error:
        return _refuse(error, 2)
    except SQLAlchemyError as error:
        return _refuse(error, 1)
    with ExitStack() as resources:
        Server(partial(build, settings, resources), settings).run()
    return 0


def prepare(settings: ApiSettings) -> None:
    """Make the administrator's account."""
    engine = open_engine(settings.database, name="lossline-api-start", pool_size=1)
    try:
        with Session(engine) as session, session.begin():
            ensure_administrator(session, settings.auth)
    finally:
        engine.dispose()


def build(settings: ApiSettings, resources: ExitStack) -> Flask:
    """The application, with resources that are closed when its process ends."""
    engine = open_engine(settings.database, name="lossline-api", pool_size=settings.threads)
    resources.callback(engine.dispose)
    store = resources.enter_context(open_object_store(settings.store))
    provider = open_provider(settings.auth.oidc, resources)
    tracer = resources.enter_context(open_tracer("lossline-api")) if settings.traced else None
    return create_app(Dependencies(settings, engine, store, partial(check_broker, settings.broker), provider, tracer))


def _refuse(error: Exception, status: int) -> int:
    sys.stderr.write(f"lossline-api cannot start. {error}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
