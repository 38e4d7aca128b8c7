"""The process of a model worker: settings, log, resources, wiring, run. See supervisor.py for the order of shutdown."""

import asyncio
import logging
import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from services.model_worker.attempt import Workshop
from services.model_worker.last_words import give_up
from services.model_worker.model_data import ModelDataError, provided_model
from services.model_worker.model_place import ModelPlaceError, component_versions, read_config, read_model_settings
from services.model_worker.objects import ObjectCache
from services.model_worker.processes import ForkServer, ProcessesError
from services.model_worker.processes.registry import REGISTRY, REGISTRY_VARIABLE
from services.model_worker.run_directory import own_directory
from services.model_worker.settings import Settings
from services.model_worker.supervisor import Supervisor
from services.model_worker.warm.clients import install_clients
from services.model_worker.warm.environment import CLIENTS_VARIABLE, LOAD
from services.model_worker.warm.programs import installed_names, scripts_directory
from shared import names
from shared.broker.aio_client import AsyncBroker
from shared.broker.errors import BrokerError
from shared.broker.port import OutgoingMessage
from shared.broker.topology import Topology
from shared.messages.catalogue import RegisterModel
from shared.messages.envelope import encode
from shared.object_store import InvalidObjectStoreSettings, ObjectStoreError, open_object_store
from shared.service import CannotListen, configure_logging, serve_health
from shared.settings import BadSetting
from shared.topology import PLATFORM, to_declare, worker_topology

log = logging.getLogger(__name__)

_BROKER_WITHIN = 90.0
"""Seconds: as long as `lossline up`, which starts workers beside it, gives the broker to come up."""


def main() -> int:
    """Run until drained. Exit status 0 after an ordered stop, 1 after a failure, 2 for a bad setting or model."""
    configure_logging("model-worker", os.environ.get("OASIS_LOG_LEVEL", "INFO"))
    with ExitStack() as held:
        try:
            environ = held.enter_context(provided_model(os.environ))
            settings = Settings.read(environ)
            registration = None if settings.is_internal else register(settings)
        except ModelDataError as error:
            return give_up(error, 1)
        except (BadSetting, ModelPlaceError, InvalidObjectStoreSettings, OSError) as error:
            return give_up(error, 2)
        try:
            return asyncio.run(work(settings, registration))
        except (BrokerError, CannotListen, ProcessesError, ObjectStoreError) as error:
            return give_up(error, 1)


async def work(settings: Settings, registration: RegisterModel | None) -> int:
    """Wire and run the supervisor."""
    worker_id = uuid4().hex
    tell_launcher(os.environ.get("LOSSLINE_WORKER_ID_FILE"), worker_id)
    with (
        own_directory(settings.base_directory, settings.queue, keep=settings.keep_local_data) as directory,
        open_object_store(settings.store) as store,
    ):
        settings = with_warm_programs(settings, directory)
        async with (
            fork_server(settings, directory) as forks,
            AsyncBroker(settings.broker, f"worker-{worker_id}") as broker,
        ):
            await asyncio.to_thread(store.check)
            if not settings.is_internal:
                await forks.ready()
            await broker.declare(topology(worker_id, settings), timeout=_BROKER_WITHIN)
            cache = ObjectCache(store, directory / "objects")
            supervisor = Supervisor(Workshop(worker_id, settings, directory, store, cache, forks), broker)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, supervisor.stop)
            if settings.register and registration is not None:
                await broker.publish(OutgoingMessage("", names.MONITOR_QUEUE, encode(registration)))
            with serve_health(settings.health_port, supervisor.not_ready, settings.health_host):
                log.info("Serving", extra={"worker": worker_id, "queue": settings.queue, "slots": settings.slots})
                await supervisor.run(settings.queue)
    return 0


def topology(worker_id: str, settings: Settings) -> Topology:
    """What the worker declares: the platform's queues too, unless they are there and not ours to make."""
    own = (settings.queue, names.worker_queue(worker_id))
    return to_declare(PLATFORM.merged(worker_topology(worker_id, settings.queue)), own, prepared=settings.prepared)


def fork_server(settings: Settings, directory: Path) -> ForkServer:
    """What starts the steps. The internal worker often has nothing to do, and then imports nothing."""
    environ, lazy = settings.step_environ, settings.is_internal
    return ForkServer(preload_of(settings), base_directory=directory, environ=environ, at_first_need=lazy)


def preload_of(settings: Settings) -> tuple[str, ...]:
    """What the fork server imports: the programs of oasislmf, the steps, and what runs them.

    The programs first: what their modules look up and register is noted only while they are imported.
    """
    steps = settings.step_environ.get(REGISTRY_VARIABLE, REGISTRY), "services.model_worker.processes.step_runner"
    return (LOAD, *steps) if CLIENTS_VARIABLE in settings.step_environ else steps


def with_warm_programs(settings: Settings, directory: Path) -> Settings:
    """The settings with the clients of warm programs, made below `directory`, unless that is turned off."""
    if not settings.warm_programs or REGISTRY_VARIABLE in settings.step_environ:
        return settings
    clients = install_clients(directory / "programs", installed_names(), scripts_directory())
    return replace(settings, step_environ={**settings.step_environ, CLIENTS_VARIABLE: str(clients)})


def tell_launcher(path: str | None, worker_id: str) -> None:
    """Let whoever started this process know its incarnation, for the report of its death."""
    if path:
        Path(path).write_text(f"{os.getpid()} {worker_id}", encoding="utf-8")


def register(settings: Settings) -> RegisterModel:
    """What the worker says of its model at start."""
    place = settings.place
    return RegisterModel(
        supplier_id=place.supplier_id,
        model_id=place.model_id,
        version_id=place.version_id,
        run_mode=settings.run_mode,
        settings=read_model_settings(place),
        versions=component_versions(settings.step_environ),
        oasislmf_config=read_config(place.config_path),
    )


if __name__ == "__main__":
    sys.exit(main())
