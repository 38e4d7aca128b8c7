"""Settings of a model worker, read once. Source: oasis_api.md section 7.3."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.model_worker.cgroup import machine_memory, own_group
from services.model_worker.memory import MemoryLimit, share_of
from services.model_worker.model_place import find_model_place, no_model
from services.model_worker.processes.registry import REGISTRY_VARIABLE, SERVER_REGISTRY
from services.model_worker.step_contract import ModelPlace
from services.model_worker.watchdog import Patience
from shared import names
from shared.core.plan import RunMode
from shared.object_store import ObjectStoreSettings
from shared.settings import BadSetting, Options, broker_prepared, broker_url

INTERNAL = "SERVER-INTERNAL"
"""The run mode of the internal worker, which has no model."""

SECRET_WORDS = ("PASS", "SECRET", "BROKER_URL", "ACCESS_KEY", "TOKEN", "CREDENTIAL", "_DB_")
"""A variable of the worker with one of these in its name is not handed to model code."""


@dataclass(frozen=True)
class Settings:
    """Durations in seconds."""

    place: ModelPlace
    run_mode: str
    broker: str = field(repr=False)
    store: ObjectStoreSettings = field(repr=False)
    slots: int
    base_directory: Path
    step_environ: Mapping[str, str] = field(repr=False)
    register: bool = True
    keep_local_data: bool = False
    keep_remote_data: bool = False
    debug: bool = False
    warm_programs: bool = True
    prepared: bool = False
    """Whether the broker has the platform's queues already, and ours are the only ones that we may declare."""
    health_port: int = 0
    health_host: str = "127.0.0.1"
    beat_every: float = 2.0
    claim_again_after: float = 2.0
    stop_grace: float = 5.0
    drain_for: float = 30.0
    self_fence: float = 300.0
    log_every: float = 3.0
    keep_objects: float = 3600.0
    memory: MemoryLimit = field(default_factory=MemoryLimit)
    patience: Patience = field(default_factory=Patience)
    watch_every: float = 1.0
    log_limit: int | None = None
    keep_trees: float = 600.0
    fleet_name: str | None = None
    """What the fleet that started this worker calls it."""

    @property
    def queue(self) -> str:
        """The queue that this worker serves: its model's, or that of the work without a model."""
        if self.is_internal:
            return names.INTERNAL_QUEUE
        place = self.place
        return names.model_queue(place.supplier_id, place.model_id, place.version_id, self.run_mode)

    @property
    def is_internal(self) -> bool:
        """Whether it executes what needs no model: validations, exposure runs, transformations, combinations."""
        return self.run_mode == INTERNAL

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """From the environment. Raises BadSetting, ModelPlaceError, InvalidObjectStoreSettings."""
        options = Options("WORKER", environ)
        run_mode = options.text("RUN_MODE", "v2").upper()
        if run_mode not in (*RunMode, INTERNAL):
            raise BadSetting("OASIS_RUN_MODE", run_mode.lower(), "v1, v2 or server-internal")
        internal = run_mode == INTERNAL
        slots = 1 if run_mode == RunMode.V1 else _slots(environ)
        steps = {REGISTRY_VARIABLE: environ.get(REGISTRY_VARIABLE) or SERVER_REGISTRY} if internal else {}
        return cls(
            place=no_model() if internal else find_model_place(environ),
            run_mode=run_mode,
            broker=broker_url(environ),
            prepared=broker_prepared(environ),
            store=ObjectStoreSettings.from_lookup(options.secret),
            slots=slots,
            base_directory=Path(options.text("BASE_RUN_DIR", "/tmp/run")),  # noqa: S108 - the reference's default
            step_environ=without_secrets(environ) | steps,
            register=not internal and not options.flag("DISABLE_WORKER_REG", default=False),
            keep_local_data=options.flag("KEEP_LOCAL_DATA", default=False),
            keep_remote_data=options.flag("KEEP_REMOTE_DATA", default=False),
            debug=options.flag("DEBUG", default=False),
            warm_programs=options.flag("WARM_PROGRAMS", default=True),
            health_port=options.integer("HEALTH_PORT", 0),
            health_host=options.text("HEALTH_HOST", cls.health_host),
            stop_grace=options.seconds("STOP_GRACE", 5.0),
            drain_for=options.seconds("DRAIN_FOR", 30.0),
            self_fence=options.seconds("SELF_FENCE", 300.0),
            log_limit=options.size("LOG_LIMIT", 64 * 1024**2),
            fleet_name=environ.get("LOSSLINE_FLEET_NAME") or None,
            patience=Patience(
                options.seconds_or_never("STALLED_AFTER", 3600.0), options.seconds_or_never("DEADLINE", None)
            ),
            memory=MemoryLimit(options.size("MEMORY_PER_SLOT", _container_share(slots)), slots),
        )


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that model code may see."""
    return {name: value for name, value in environ.items() if not any(word in name.upper() for word in SECRET_WORDS)}


def _container_share(slots: int) -> int | None:
    """Each slot's part of what this container may use."""
    group = own_group()
    return share_of(group.limit() if group else None, machine_memory(), slots)


def _slots(environ: Mapping[str, str]) -> int:
    """`OASIS_CELERY_CONCURRENCY`, or the cores that this process may use."""
    if not environ.get("OASIS_CELERY_CONCURRENCY"):
        return len(os.sched_getaffinity(0))
    return Options("CELERY", environ).integer("CONCURRENCY", 1, least=1)
