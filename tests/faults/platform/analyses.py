"""Analyses as a user runs them: over the HTTP API, asked again where it does not answer just then."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import requests
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from services.embedded.client import ApiClient, ApiRefused
from shared.core.states import RunState
from shared.database.execution import Run
from shared.database.resources import Analysis
from tests.faults.platform.platform import BrokenPlatform

T = TypeVar("T")
ENDED = frozenset({RunState.COMPLETED, RunState.CANCELLED, RunState.FAILED})
_FAR_AWAY = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


@dataclass(frozen=True)
class Work:
    """What an analysis is to compute: the same work has the same outputs."""

    rows: int = 6
    lookup_chunks: int = 2
    loss_chunks: int = 4
    seconds: tuple[tuple[str, float], ...] = (("prepare-keys-file", 0.2), ("generate-losses-chunk", 0.6))
    """How long steps take."""

    def location(self) -> bytes:
        """The location file."""
        rows = (f"1,{number},{number * 1000}" for number in range(1, self.rows + 1))
        return "\n".join(("AccNumber,LocNumber,BuildingTIV", *rows, "")).encode()


@dataclass
class Submitted:
    """An analysis on a platform, and what was asked of it."""

    platform: BrokenPlatform
    work: Work
    analysis_id: int
    client: ApiClient = field(repr=False)

    def ask(self, action: str) -> str:
        """POST an action until it is taken; what was taken before its answer was lost counts. Returns the status."""
        before = self.status()
        while True:
            try:
                return str(self.client.post(f"v2/analyses/{self.analysis_id}/{action}/")["status"])
            except _FAR_AWAY:
                pass
            except ApiRefused as error:
                if error.status < 500:
                    raise
            time.sleep(0.1)
            if _was_taken(action, before, now := self.status()):
                return now

    def status(self) -> str:
        """What clients read, from the database: this must work while the API is broken."""
        return str(self._row(select(Analysis.status).where(Analysis.id == self.analysis_id)))

    def run_id(self) -> int:
        """The current run."""
        return int(self._row(select(Analysis.current_run_id).where(Analysis.id == self.analysis_id)))

    def run_uuid(self) -> str:
        """The current run, as its keys and records have it."""
        return str(self._row(select(Run.run_uuid).where(Run.id == self.run_id())))

    def state(self) -> RunState:
        """The state of the current run."""
        return RunState(self._row(select(Run.state).where(Run.id == self.run_id())))

    def has_ended(self) -> bool:
        """Whether the current run has."""
        return self.state() in ENDED

    def output(self) -> bytes:
        """The losses."""
        return patiently(lambda: self._download("output_file"))

    def _download(self, name: str) -> bytes:
        with tempfile.NamedTemporaryFile() as file:
            self.client.download(f"v2/analyses/{self.analysis_id}/{name}/", Path(file.name))
            return Path(file.name).read_bytes()

    def _row(self, query: Any) -> Any:
        return patiently(lambda: self._scalar(query))

    def _scalar(self, query: Any) -> Any:
        with self.platform.engine.connect() as connection:
            return connection.execute(query).scalar_one()


def _was_taken(action: str, before: str, now: str) -> bool:
    """Whether an action whose answer was lost has been taken. A run that goes on changes the status by itself."""
    return now.endswith("_CANCELLED") if action.startswith("cancel") else now != before


def submit(platform: BrokenPlatform, work: Work, action: str | None = "generate_and_run") -> Submitted:
    """Create portfolio and analysis, and request a run of it."""
    client = platform.client
    with tempfile.TemporaryDirectory() as folder:
        location, settings = Path(folder, "location.csv"), Path(folder, "settings.json")
        location.write_bytes(work.location())
        settings.write_text(json.dumps({"seconds": dict(work.seconds)}), encoding="utf-8")
        portfolio = patiently(lambda: client.post("v2/portfolios/", {"name": "faults"}))["id"]
        patiently(lambda: client.upload(f"v2/portfolios/{portfolio}/location_file/", location))
        body = {"name": "faults", "portfolio": portfolio, "model": platform.model_id}
        analysis = int(patiently(lambda: client.post("v2/analyses/", body))["id"])
        patiently(lambda: client.upload(f"v2/analyses/{analysis}/settings_file/", settings))
    chunking = {
        "lookup_strategy": "FIXED_CHUNKS",
        "loss_strategy": "FIXED_CHUNKS",
        "fixed_lookup_chunks": work.lookup_chunks,
        "fixed_analysis_chunks": work.loss_chunks,
    }
    patiently(lambda: client.post(f"v2/analyses/{analysis}/chunking_configuration/", chunking))
    submitted = Submitted(platform, work, analysis, client)
    if action:
        submitted.ask(action)
    return submitted


def patiently(action: Callable[[], T], within: float = 90.0) -> T:
    """Repeat what a broken part could not answer; for requests that may be made twice. Raises the last error."""
    deadline = time.monotonic() + within
    while True:
        try:
            return action()
        except (*_FAR_AWAY, OperationalError, ApiRefused) as error:
            refused = isinstance(error, ApiRefused) and error.status < 500
            if refused or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
