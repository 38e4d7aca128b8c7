"""One transaction over a working set, tried again when the database says that two transactions met."""

import logging
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from shared.core.retries import RetryPolicy
from shared.database.working_set import WorkingSet

log = logging.getLogger(__name__)
T = TypeVar("T")

_MET = frozenset({"40001", "40P01", "23505"})
"""Serialization failure, deadlock, and a claim that a replica has granted meanwhile (unique violation)."""


def in_working_set(engine: Engine, policy: RetryPolicy, work: Callable[[WorkingSet], T], *, tries: int = 5) -> T:
    """Run `work` in a transaction of its own and commit it; it flushes its working set itself."""
    while True:
        try:
            with engine.begin() as connection:
                return work(WorkingSet(connection, policy))
        except (OperationalError, IntegrityError) as error:
            tries -= 1
            if tries <= 0 or not has_met_another(error):
                raise
            log.info("Two transactions met; trying again", extra={"reason": str(error.orig)})


def has_met_another(error: DBAPIError) -> bool:
    """Whether the same transaction may succeed when tried again."""
    return getattr(error.orig, "sqlstate", None) in _MET
