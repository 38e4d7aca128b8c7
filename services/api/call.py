"""One request as a handler sees it: who asks, for what, and the transaction that it works in."""

import logging
from datetime import timedelta
from types import TracebackType
from typing import Self

from flask import Request
from sqlalchemy import delete
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.api.auth.accounts import Account
from services.api.auth.door import Door
from services.api.dependencies import Dependencies
from services.api.errors import NotAuthenticated
from shared.database.execution import Removal
from shared.database.removals import note_removals
from shared.object_store import ObjectStore, ObjectStoreError

log = logging.getLogger(__name__)

SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Reads see one snapshot, so that the status and the counts of an analysis belong together."""


_LONGEST_REQUEST = timedelta(days=1)


class Call:
    """A context manager around one request: the transaction commits when the block ends well, before the answer leaves.

    `version` is "v1", "v2" or "" for the unversioned paths.
    """

    def __init__(self, request: Request, dependencies: Dependencies, version: str) -> None:
        self.request = request
        self.dependencies = dependencies
        self.version = version
        self.account: Account | None = None
        self._session: Session | None = None
        self._put: list[str] = []

    @property
    def store(self) -> ObjectStore:
        """The object store."""
        return self.dependencies.store

    @property
    def user(self) -> Account:
        """Who asks. Raises NotAuthenticated."""
        if self.account is None:
            raise NotAuthenticated
        return self.account

    @property
    def address(self) -> str:
        """Where the request comes from; empty for a Unix socket."""
        return self.request.remote_addr or ""

    @property
    def door(self) -> Door:
        """What whoever asks is let in by."""
        dependencies = self.dependencies
        return Door(dependencies.engine, self.session, dependencies.settings.auth, dependencies.provider)

    @property
    def session(self) -> Session:
        """The session, opened when it is first asked for: read-only on one snapshot for GET."""
        if self._session is None:
            engine = self.dependencies.engine
            reads = self.request.method in ("GET", "HEAD")
            self._session = Session(engine.execution_options(**SNAPSHOT) if reads else engine, expire_on_commit=False)
        return self._session

    def release_connection(self) -> None:
        """End the transaction so far, so that no connection is held while many bytes move."""
        if self._session is not None:
            self._session.commit()

    def note_put(self, key: str) -> None:
        """An object that is about to be put, and must go again unless this request commits, whoever dies meanwhile.

        Committed at once; `note_row` takes it back, with the request.
        """
        with self.dependencies.engine.begin() as connection:
            note_removals(connection, [key], after=_LONGEST_REQUEST)
        self._put.append(key)

    def note_row(self, key: str) -> None:
        """The object has its row, in the transaction of this request."""
        self.session.execute(delete(Removal).where(Removal.prefix == key))

    def url(self, path: str) -> str:
        """The absolute URL of a path below the version: `models/1/` -> `http://host/api/v2/models/1/`."""
        return f"{self.request.root_url}{self.version}/{path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._commit()
            else:
                self._roll_back()
        finally:
            if self._session is not None:
                self._session.close()

    def _commit(self) -> None:
        if self._session is None:
            return
        try:
            self._session.commit()
        except OperationalError:
            # The connection broke while committing: what has become of the rows is what becomes of the objects.
            log.exception("a commit was not answered", extra={"objects": self._put})
            raise
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._session is not None:
            self._session.rollback()
        for key in self._put:
            try:
                self.store.delete(key)
            except ObjectStoreError:
                log.warning("an object without a row is left to the sweeper", extra={"key": key}, exc_info=True)
