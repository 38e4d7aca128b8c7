"""The quick worker with warm programs of oasislmf, though its steps are those of the tests."""

import sys
from dataclasses import replace
from pathlib import Path

from services.model_worker import __main__ as worker
from services.model_worker.settings import Settings
from services.model_worker.warm.clients import install_clients
from services.model_worker.warm.environment import CLIENTS_VARIABLE
from services.model_worker.warm.programs import installed_names
from tests.model_worker.quick_worker import QuickSettings


def with_warm_programs(settings: Settings, directory: Path) -> Settings:
    """As the worker has it for its own steps."""
    clients = install_clients(directory / "programs", installed_names())
    return replace(settings, step_environ={**settings.step_environ, CLIENTS_VARIABLE: str(clients)})


if __name__ == "__main__":
    worker.Settings = QuickSettings  # type: ignore[misc]
    worker.with_warm_programs = with_warm_programs
    sys.exit(worker.main())
