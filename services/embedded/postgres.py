"""The PostgreSQL server of the embedded default."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg
from psycopg import sql
from sqlalchemy import URL

from services.embedded.child import has_ended, log_tail, reap, start_child, stop_child
from services.embedded.errors import StartFailed
from services.embedded.folder_lock import FolderLock
from services.embedded.postgres_cluster import clear_stale_pid, make_cluster, options, socket_folder
from services.embedded.postgres_programs import Programs, account, programs_for

_POLL_SECONDS = 0.05

log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """A PostgreSQL server of this command's own, on a Unix socket that only its account (and root) can open.

    Its data stay in `folder`, which is best /var/lib/lossline/postgres for root: the server then runs as the account
    `pgserver`, and no permission outside `folder` is ever changed. `durable=False` trades safety against power cuts
    for speed, for tests. Enter and restart it in a thread that lives as long as the server (the main one): when that
    thread ends, even by SIGKILL of the process, the kernel asks the server to shut down.

    Raises FolderInUse, FolderUnreachable, AccountMissing, BinaryBroken, StartFailed (with the last lines of the log).
    """

    def __init__(self, folder: Path, log_file: Path, *, durable: bool = True, ready_within: float = 60) -> None:
        self._folder = folder.absolute()
        self._log_file = log_file.absolute()
        self._durable = durable
        self._ready_within = ready_within
        self._resources = ExitStack()
        self._lock_descriptor = -1
        self._account = None if os.geteuid() else account()
        self._programs: Programs | None = None
        self._data = self._folder / "data"
        self._socket_folder = self._folder / "socket"
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            self._prepare(entered)
            entered.callback(self._stop)
            self._start()
            self._resources = entered.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._resources.close()

    @property
    def pid(self) -> int | None:
        """Process id of the postmaster while it runs."""
        return self._server.pid if self._server and not has_ended(self._server) else None

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database."""
        return self._url("postgresql+psycopg", database)

    def create_database(self, name: str) -> None:
        """Create a database; one that exists already is kept."""
        with self._connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def drop_database(self, name: str) -> None:
        """Drop a database with its connections; nothing happens when there is none."""
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def kill(self) -> None:
        """SIGKILL the postmaster, for fault tests, and wait for the end of its backends; `restart` brings it back."""
        if self._server is not None:
            # They have groups of their own, and while one lives no other server may start on its shared memory.
            backends = psutil.Process(self._server.pid).children() if self.pid else []
            stop_child(self._server, [(signal.SIGKILL, 10)])
            psutil.wait_procs(backends, timeout=10)

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same data and socket."""
        self._stop()
        self._start()

    def _prepare(self, entered: ExitStack) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._account is not None:
            self._folder.chmod(0o711)
        self._lock_descriptor = entered.enter_context(FolderLock(self._folder)).fileno()
        self._programs = programs_for(self._data, self._folder, self._account)
        make_cluster(self._programs, self._folder, self._account, durable=self._durable)
        self._socket_folder = socket_folder(self._folder, self._account)

    def _start(self) -> None:
        if self._programs is None:
            raise RuntimeError("the server was not entered")
        clear_stale_pid(self._data)
        began = time.monotonic()
        arguments = options(self._programs.version, self._socket_folder, durable=self._durable)
        self._server = start_child(
            [self._programs.path("postgres"), "-D", str(self._data), *arguments],
            env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
            log=self._log_file,
            death_signal=signal.SIGINT,  # PostgreSQL's fast shutdown
            account=self._account,
            pass_fds=[self._lock_descriptor],
        )
        self._wait(self._server, began + self._ready_within)
        log.info("database is ready", extra={"seconds": round(time.monotonic() - began, 2)})

    def _wait(self, server: subprocess.Popen[bytes], deadline: float) -> None:
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError as error:
                self._give_up(server, deadline, str(error))
            else:
                return
            time.sleep(_POLL_SECONDS)

    def _give_up(self, server: subprocess.Popen[bytes], deadline: float, last: str) -> None:
        """Raise when the server has died or the time is over."""
        reason = None
        if has_ended(server):
            reason = f"its process ended with status {reap(server)}"
        elif time.monotonic() > deadline:
            reason = f"no connection within {self._ready_within:g} s ({last})"
        if reason is not None:
            raise StartFailed("PostgreSQL", reason, self._log_file, log_tail(self._log_file))

    def _stop(self) -> None:
        """Fast shutdown (checkpoint, clients cut off), then an immediate one, then SIGKILL."""
        if self._server is not None:
            stop_child(self._server, [(signal.SIGINT, 30), (signal.SIGQUIT, 5)])
            self._server = None

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._url("postgresql", "postgres"), autocommit=True, connect_timeout=5)

    def _url(self, driver: str, database: str) -> str:
        where = {"host": str(self._socket_folder)}
        return URL.create(driver, username="postgres", database=database, query=where).render_as_string(False)
