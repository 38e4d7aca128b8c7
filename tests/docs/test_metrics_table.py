"""The table of figures in docs/operations.md has those that there are, and what they are labelled with."""

import re
from pathlib import Path

from services.api import metrics as api
from services.api.websocket import server as websocket
from services.task_controller import metrics as task_controller
from services.worker_controller import metrics as worker_controller
from shared import service
from shared.metrics import Metric

ROOT = Path(__file__).parents[2]
MODULES = (service, api, websocket, task_controller, worker_controller)


def figures() -> dict[str, tuple[str, ...]]:
    found = (value for module in MODULES for value in vars(module).values() if isinstance(value, Metric))
    return {metric.name: metric.labels for metric in found}


def explained() -> dict[str, tuple[str, ...]]:
    rows = re.findall(r"^\| `(lossline_\w+)` \| ([^|]*) \|", (ROOT / "docs" / "operations.md").read_text("utf-8"), re.M)
    return {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


def test_every_figure_is_explained_with_its_labels_and_every_explained_one_is_there():
    assert explained() == figures()


def test_no_figure_is_declared_elsewhere():
    sources = (path for folder in ("services", "shared") for path in (ROOT / folder).rglob("*.py"))
    declared = {name for path in sources for name in re.findall(r'Metric\(\s*"(\w+)"', path.read_text("utf-8"))}

    assert declared == figures().keys()
