"""The Celery application of the comparison: tasks that do nothing, as the reference platform configures Celery.

`BENCHMARK_TASK_IMPORTS` names a module that each task imports at its first use. The platform that we replace does that
with oasislmf, so that with a child per task every child pays for it.
"""

import importlib
import os
from typing import Any

from celery import Celery  # type: ignore[import-untyped]

app = Celery("benchmark", broker=os.environ["BENCHMARK_BROKER"], backend=os.environ["BENCHMARK_RESULTS"])
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    broker_connection_retry_on_startup=True,
)

_IMPORTS = os.environ.get("BENCHMARK_TASK_IMPORTS", "")


@app.task(name="step")  # type: ignore[untyped-decorator]
def step(previous: Any = None, name: str = "") -> dict[str, str]:  # noqa: ARG001 - the result of the task before
    """Do nothing, and leave the reference to a file."""
    if _IMPORTS:
        importlib.import_module(_IMPORTS)
    return {"step": name, "location": f"{name}.json"}
