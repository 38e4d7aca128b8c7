"""The worker controller of this machine: its file of models, and its environment."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.embedded.environment import Surroundings
from services.embedded.layout import Layout
from services.embedded.models import ModelDirectory
from shared.core.plan import RunMode


@dataclass(frozen=True)
class ScaledModel:
    """A model whose workers come and go: the most of them, the slots of each, and what they get in particular."""

    model: ModelDirectory
    run_mode: RunMode
    workers: int
    slots: int
    environ: Mapping[str, str]


def models_file(layout: Layout) -> Path:
    """Where the file of models lies."""
    return layout.home / "models.yaml"


def write_models_file(layout: Layout, models: Sequence[ScaledModel]) -> None:
    """Write it anew. It holds no secrets: workers get those from the environment of the controller."""
    entries = [_entry(each) for each in models]
    models_file(layout).write_text(json.dumps({"models": entries}, indent=1), encoding="utf-8")


def _entry(scaled: ScaledModel) -> dict[str, object]:
    model = scaled.model
    return {
        "supplier": model.supplier_id,
        "model": model.model_id,
        "version": model.version_id,
        "run_mode": scaled.run_mode.lower(),
        "slots": scaled.slots,
        "directory": str(model.path),
        "environment": dict(scaled.environ),
    }


def controller_environment(
    layout: Layout, surroundings: Surroundings, models: Sequence[ScaledModel], api: tuple[str, int], websocket_port: int
) -> dict[str, str]:
    """What the worker controller gets. Its workers end with this process, and in order when it stops."""
    host, port = api
    most = sum(each.workers for each in models)
    return {
        "OASIS_TOTAL_WORKER_LIMIT": str(most),
        **surroundings.common(),
        "OASIS_API_HOST": host,
        "OASIS_API_PORT": str(port),
        "OASIS_WEBSOCKET_HOST": host,
        "OASIS_WEBSOCKET_PORT": str(websocket_port),
        "OASIS_SERVICE_USERNAME_OR_ID": surroundings.login.username,
        "OASIS_SERVICE_PASSWORD_OR_SECRET": surroundings.login.password,
        "OASIS_USE_OIDC": "True" if surroundings.login.by_provider else "",
        "OASIS_WORKER_CONTROLLER_MODELS_FILE": str(models_file(layout)),
        "OASIS_WORKER_CONTROLLER_STATE": str(layout.run / "fleet"),
        "OASIS_WORKER_CONTROLLER_LOGS": str(layout.logs),
        "OASIS_WORKER_CONTROLLER_STOP_WORKERS": "True",
        "OASIS_WORKER_CONTROLLER_STOP_WITHIN": "45",
        "OASIS_WORKER_CONTROLLER_LIFELINE": str(os.getpid()),
    }
