"""What the controller reads from the API: workers that serve, models and how they scale."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.worker_controller.errors import ApiError
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.rules import Scaling, Strategy
from services.worker_controller.world import Serving


class Reading(Protocol):
    """An ApiClient, or what stands for it in tests."""

    def get(self, path: str, **params: str) -> Any: ...


def read_serving(api: Reading) -> Mapping[str, Serving]:
    """The workers that beat, by the name that their fleet has given them. Raises ApiError."""
    rows = api.get("workers/")
    try:
        return {str(row["fleet_name"]): _serving(row) for row in rows if row["fleet_name"]}
    except (KeyError, TypeError, ValueError) as error:
        raise ApiError(f"the list of workers is not as agreed: {error!r}") from error


def _serving(row: Mapping[str, Any]) -> Serving:
    return Serving(str(row["worker_id"]), int(row["slots"]), int(row["free_slots"]), bool(row["draining"]))


@dataclass
class ScalingOptions:
    """The scaling configurations of models, kept for `keep_for` seconds."""

    api: Reading
    keep_for: float = 10.0
    clock: Callable[[], float] = time.monotonic
    _kept: Mapping[str, Scaling] = field(default_factory=dict, init=False)
    _read_at: float | None = field(default=None, init=False)

    def of(self, models: Iterable[ModelEntry]) -> Mapping[str, Scaling]:
        """By queue; a model that the API does not know, or nobody has registered, is missing. Raises ApiError."""
        now = self.clock()
        if self._read_at is None or now - self._read_at >= self.keep_for:
            self._kept = self._read(models)
            self._read_at = now
        return self._kept

    def _read(self, models: Iterable[ModelEntry]) -> Mapping[str, Scaling]:
        ids = _ids(self.api.get("models/"))
        found = {model.queue: ids.get((model.supplier, model.model, model.version)) for model in models}
        return {
            queue: read_scaling(self.api.get(f"models/{pk}/scaling_configuration/"))
            for queue, pk in found.items()
            if pk is not None
        }


def _ids(models: Any) -> Mapping[tuple[str, str, str], int]:
    try:
        return {
            (each["supplier_id"], each["model_id"], each["version_id"]): int(each["id"])
            for each in models
            if each["run_mode"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ApiError(f"the list of models is not as agreed: {error!r}") from error


def read_scaling(body: Any) -> Scaling:
    """A scaling configuration. Raises ApiError."""
    try:
        return Scaling(
            Strategy(body["scaling_strategy"]),
            fixed=int(body["worker_count_fixed"]),
            least=int(body["worker_count_min"]),
            most=int(body["worker_count_max"]),
            chunks_per_worker=int(body["chunks_per_worker"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ApiError(f"a scaling configuration is not as agreed: {error!r}") from error
