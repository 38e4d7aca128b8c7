"""The process of the worker controller: settings, log, resources, wiring, run. See controller.py for the shutdown."""

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import closing

from services.worker_controller.abilities import beyond
from services.worker_controller.api_client import ApiClient
from services.worker_controller.controller import Controller
from services.worker_controller.errors import BadModelsFile, ControllerError
from services.worker_controller.fleet import Fleet
from services.worker_controller.image_labels import labels_on_engine, no_labels
from services.worker_controller.listening import Latest, Listener
from services.worker_controller.models_file import ModelEntry, read_models_file
from services.worker_controller.platform_api import ScalingOptions
from services.worker_controller.process_fleet import ProcessFleet
from services.worker_controller.settings import Settings
from services.worker_controller.telling import Teller
from shared.broker.errors import BrokerError
from shared.broker.pika_client import BlockingBroker
from shared.service import CannotListen, configure_logging, serve_health, stop_on_signals, threads
from shared.settings import BadSetting
from shared.tls import client_context
from shared.topology import PLATFORM, to_declare

log = logging.getLogger(__name__)


def main() -> int:
    """Run until SIGTERM. Exit status 0 after an ordered stop, 1 after a failure, 2 for what cannot be used."""
    level = os.environ.get("OASIS_LOGLEVEL") or os.environ.get("OASIS_LOG_LEVEL", "INFO")
    configure_logging("worker-controller", level.upper())
    try:
        settings = Settings.read(os.environ)
        labels = no_labels if settings.fleet == "process" else labels_on_engine
        models = read_models_file(settings.models_file, os.environ, labels)
        if faults := beyond(settings.fleet, models):
            raise BadModelsFile(f"{settings.models_file} asks for what cannot be done. {'; '.join(faults)}")
    except (BadSetting, ControllerError, OSError) as error:
        return _refuse(error, 2)
    try:
        return run(settings, models)
    except (BrokerError, CannotListen, ControllerError) as error:
        return _refuse(error, 1)


def run(settings: Settings, models: Mapping[str, ModelEntry]) -> int:
    """Wire and run the loops."""
    stopping, latest = stop_on_signals(), Latest()
    tls = client_context(settings.tls) if settings.tls else None
    with (
        closing(ApiClient(settings.addresses.api, settings.credentials, tls=tls)) as api,
        BlockingBroker(settings.broker, "worker-controller") as broker,
        open_fleet(settings) as fleet,
    ):
        broker.wait_connected(30)
        broker.declare(to_declare(PLATFORM, (), prepared=settings.prepared))
        listener = Listener(settings.addresses.websocket, api, latest, tls)
        options = ScalingOptions(api, settings.scaling_age)
        rules, every = settings.rules, settings.every
        controller = Controller(api, fleet, Teller(broker), latest, models, options, rules, every)

        def readiness() -> str | None:
            return None if listener.connected else "the queue status is not heard"

        log.info("Controlling", extra={"queues": sorted(models), "fleet": settings.fleet})
        # Workers are started in this thread and none else.
        figures = controller.decided.figures(lambda: controller.state.targets)
        health = serve_health(settings.health_port, readiness, settings.health_host, figures)
        with health, threads(stopping, listener=listener.run) as failed:
            controller.run(stopping)
        if settings.stop_workers:
            controller.stop_workers(settings.stop_within)
        return 1 if failed() else 0


def open_fleet(settings: Settings) -> Fleet:
    """The backend that the settings name, to be entered."""
    if settings.fleet == "docker":
        from services.worker_controller.docker_fleet import DockerFleet

        return DockerFleet(settings.namespace, dict(os.environ))
    if settings.fleet == "swarm":
        from services.worker_controller.swarm_fleet import SwarmFleet

        return SwarmFleet(settings.namespace, dict(os.environ))
    return ProcessFleet(settings.state, settings.logs, dict(os.environ), settings.lifeline)


def _refuse(error: Exception, status: int) -> int:
    sys.stderr.write(f"lossline-worker-controller cannot go on. {error}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
