"""The process of the worker monitor: settings, log, resources, run; see `monitor` for the order of shutdown."""

import os
import sys

from services.worker_monitor.monitor import WorkerMonitor
from services.worker_monitor.settings import Settings
from shared.broker.errors import BrokerError
from shared.broker.pika_client import BlockingBroker
from shared.database.engine import open_engine
from shared.object_store import InvalidObjectStoreSettings, open_object_store
from shared.oed_schemas import MODEL_SETTINGS, PackageDataMissing, validator
from shared.service import CannotListen, configure_logging, serve_health, stop_on_signals
from shared.settings import BadSetting


def main() -> int:
    """Run until SIGTERM. Exit status 0 after an ordered stop, 1 after a failure, 2 for a bad setting."""
    configure_logging("worker-monitor", os.environ.get("OASIS_LOG_LEVEL", "INFO"))
    try:
        settings = Settings.read(os.environ)
        validator(MODEL_SETTINGS)
    except (BadSetting, InvalidObjectStoreSettings, PackageDataMissing, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the operator reads it
        return 2
    return run(settings)


def run(settings: Settings) -> int:
    """Open the resources and run."""
    stopping = stop_on_signals()
    # One connection for each slot, and some for registrations and the sweepers.
    engine = open_engine(settings.database, name="lossline-worker-monitor", pool_size=settings.slots + 4)
    try:
        with open_object_store(settings.objects) as store, BlockingBroker(settings.broker, "worker-monitor") as broker:
            broker.wait_connected(30)
            monitor = WorkerMonitor(engine, broker, store, settings)

            def readiness() -> str | None:
                return None if monitor.is_ready() else "the broker does not have all our consumers"

            with serve_health(settings.health_port, readiness, settings.health_host):
                return 1 if monitor.run(stopping) else 0
    except (BrokerError, CannotListen) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the operator reads it
        return 1
    finally:
        engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
