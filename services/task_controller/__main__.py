"""The process of the task controller: settings, log, resources, wiring, run.

Order of shutdown: the loops finish what they have taken; the last outbox rows are relayed; the broker's consumers
stop and its connection closes; the database's connections close.
"""

import os
import sys

from services.task_controller.heartbeats import Heartbeats
from services.task_controller.intake import Intake
from services.task_controller.metrics import Counted, Looks
from services.task_controller.reaping import Reaper
from services.task_controller.reconciler import Reconciler
from services.task_controller.relay import Relay
from services.task_controller.settings import Settings
from services.task_controller.tracing import traces
from shared.broker.errors import BrokerError
from shared.broker.pika_client import BlockingBroker
from shared.database.engine import open_engine
from shared.service import CannotListen, Figures, configure_logging, serve_health, stop_on_signals, threads
from shared.settings import BadSetting
from shared.topology import PLATFORM


def main() -> int:
    """Run until SIGTERM. Exit status 0 after an ordered stop, 1 after a failure, 2 for a bad setting."""
    configure_logging("task-controller", os.environ.get("OASIS_LOG_LEVEL", "INFO"))
    try:
        settings = Settings.read(os.environ)
    except (BadSetting, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the operator reads it
        return 2
    return run(settings)


def run(settings: Settings) -> int:
    """Wire and run the loops."""
    stopping = stop_on_signals()
    engine = open_engine(settings.database, name="lossline-task-controller", pool_size=6, ping=False)
    try:
        with BlockingBroker(settings.broker, "task-controller") as broker, traces(engine, settings) as more:
            broker.wait_connected(30)
            broker.declare(PLATFORM)
            counted = Counted()
            intake = Intake(engine, broker, settings, counted)
            heartbeats = Heartbeats(engine, broker, settings, counted)

            def readiness() -> str | None:
                consuming = intake.consumer.is_consuming and heartbeats.consumer.is_consuming
                return None if consuming else "the broker has no consumer of ours"

            loops = {
                "intake": intake.run,
                "heartbeats": heartbeats.run,
                "relay": Relay(engine, broker).run,
                "reconciler": Reconciler(engine, broker, settings).run,
                "reaper": Reaper(engine, broker, settings, counted).run,
                **more,
            }
            figures: Figures = (*Looks(engine, broker).gauges(), *counted.figures)
            health = serve_health(settings.health_port, readiness, settings.health_host, figures)
            with health, threads(stopping, **loops) as failed:
                stopping.wait()
            return 1 if failed() else 0
    except (BrokerError, CannotListen) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the operator reads it
        return 1
    finally:
        engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
