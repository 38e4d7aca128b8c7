"""The fixed names of queues and exchanges. Model queues are named after their model."""

TASK_CONTROLLER_QUEUE = "task-controller"
"""Commands and reports to the task controller. Clients of the reference ignore a queue of this name."""

HEARTBEAT_QUEUE = "task-controller.heartbeats"
"""Heartbeats of workers, apart from everything else so that nothing delays them."""

MONITOR_QUEUE = "worker-monitor"
"""Registrations of models."""

PARKED_QUEUE = "parked"
"""Messages that could not be read, each with the reason in its headers."""

CONTROL_EXCHANGE = "lossline.control"
"""Fan-out to every worker: what all of them must hear."""


INTERNAL_QUEUE = "oasis-internal-worker"
"""Work without a model: validations, exposure runs, transformations, combinations. Clients know it by this name."""

SERVER_MODE = "SERVER"
"""The run mode of what the internal worker executes, beside V1 and V2."""


def model_queue(supplier_id: str, model_id: str, version_id: str, run_mode: str) -> str:
    """The queue of a model: `{supplier}-{model}-{version}`, with `-v2` for distributed runs."""
    suffix = "-v2" if run_mode == "V2" else ""
    return f"{supplier_id}-{model_id}-{version_id}{suffix}"


def worker_queue(worker_id: str) -> str:
    """Where a worker hears answers and control messages; it goes with the worker."""
    return f"worker.{worker_id}"
