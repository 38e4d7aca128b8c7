"""What `lossline prepare` does: schema, bucket, exchanges and queues, before the services of a version start.

Safe at any time, also beside services that run, and by several at once: what is there already stays as it is.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from sqlalchemy.exc import OperationalError

from services.embedded.errors import EmbeddedError
from services.embedded.reach import Reach, broker_place, database_place, find_platform
from shared.broker.errors import BrokerDenied, BrokerError
from shared.broker.pika_client import BlockingBroker
from shared.database.migrations import upgrade
from shared.object_store import ObjectStoreError, ObjectStoreUnavailable, open_object_store
from shared.topology import PLATFORM

T = TypeVar("T")

_AGAIN = 0.5
"""Seconds between two looks at what does not answer yet."""


class NotPrepared(EmbeddedError):
    """A part of the platform cannot be made ready."""


def prepare(environ: Mapping[str, str], patience: float, said: Callable[[str], None]) -> None:
    """Make ready what the environment names; each part is waited for, for `patience` seconds. Raises EmbeddedError."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    reach = find_platform(environ)
    _prepare_database(reach, patience)
    said(f"The schema of the database {database_place(reach.database)} is up to date.")
    _prepare_store(reach, patience)
    said("The object store can be used.")
    _prepare_broker(reach, patience)
    said(f"The broker at {broker_place(reach.broker)} has its exchanges and queues.")


def _prepare_database(reach: Reach, patience: float) -> None:
    try:
        _patiently(lambda: upgrade(reach.database), OperationalError, patience)
    except OperationalError as error:
        raise NotPrepared(f"The database {database_place(reach.database)} cannot be used: {error.orig}") from error


def _prepare_store(reach: Reach, patience: float) -> None:
    try:
        with open_object_store(reach.store) as store:
            _patiently(store.check, ObjectStoreUnavailable, patience)
    except ObjectStoreError as error:
        raise NotPrepared(f"The object store cannot be used: {error}") from error


def _prepare_broker(reach: Reach, patience: float) -> None:
    try:
        with BlockingBroker(reach.broker, "lossline prepare") as broker:
            broker.wait_connected(patience)
            broker.declare(PLATFORM)
    except BrokerDenied as error:
        raise NotPrepared(f"The broker at {broker_place(reach.broker)} refuses: {error}") from error
    except BrokerError as error:
        raise NotPrepared(f"The broker at {broker_place(reach.broker)} cannot be used: {error}") from error


def _patiently(act: Callable[[], T], not_yet: type[Exception], patience: float) -> T:
    """Again and again while it raises `not_yet`, which is raised in the end."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return act()
        except not_yet:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_AGAIN)
