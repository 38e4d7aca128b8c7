"""Runs of the example model: requested, waited for, and their outputs compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests

from benchmarks.kernel_models import Case
from services.embedded.client import ApiClient, ApiRefused
from services.embedded.demo import Portfolio, submit

T = TypeVar("T")

CHUNKS = 12
"""Of the losses of a run: enough for something to happen meanwhile."""

ENDED = ("RUN_COMPLETED", "RUN_ERROR", "RUN_CANCELLED", "INPUTS_GENERATION_ERROR", "INPUTS_GENERATION_CANCELLED")


def eventually(look: Callable[[], T], what: str, seconds: float) -> T:
    """The first true thing that `look` returns. An API that is down, or has just come back, is asked again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := look():
                return found
            problem = "no"
        except requests.ConnectionError as error:
            problem = str(error)
        except ApiRefused as error:
            if error.status < 500:
                raise
            problem = str(error)
        assert time.monotonic() < deadline, f"it never came that {what}: {problem}"
        time.sleep(0.1)


def model_of(client: ApiClient, case: Case) -> int:
    """The id of the model, once its first worker has introduced it."""
    return client.wait_for_model(*case.identity, within=120)


def requested(client: ApiClient, case: Case, chunks: int) -> int:
    """A run of the model's own portfolio, divided into so many chunks; the id of its analysis."""
    portfolio = Portfolio(case.exposure, case.settings, lookup_chunks=2, loss_chunks=chunks)
    return submit(client, model_of(client, case), portfolio)


def status_of(client: ApiClient, analysis: int) -> Any:
    """The analysis's status, for clients."""
    return client.get(f"v2/analyses/{analysis}/")["status"]


def ended(client: ApiClient, analysis: int, seconds: float = 180) -> Any:
    """The status that a run ends with."""
    return eventually(
        lambda: (status := status_of(client, analysis)) in ENDED and status, f"the run of {analysis} ends", seconds
    )


def attempts_of(client: ApiClient, analysis: int) -> dict[str, list[Any]]:
    """The attempts of each sub-task by its slug."""
    rows = client.get(f"v2/analyses/{analysis}/sub_task_list/")
    return {row["slug"]: client.get(f"v2/analysis-task-statuses/{row['id']}/attempts/") for row in rows}
