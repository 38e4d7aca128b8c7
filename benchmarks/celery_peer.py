"""Celery on the same broker node and the same database server: chain and chord of the shape of our plan."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from benchmarks.places import Places
from benchmarks.platform_under_test import CHECKOUT, POLL_SECONDS
from services.embedded.process_tree import ProcessTree
from services.embedded.service_process import Service
from shared.core.plan import plan_run
from shared.core.states import RunKind

VHOST = "celery"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class Shape:
    """A way to run Celery's children. `imports`: the module that a task imports at its first use in a child."""

    name: str
    tasks_per_child: int | None = None
    imports: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the worker is started with for it."""
        return ("--max-tasks-per-child", str(self.tasks_per_child)) if self.tasks_per_child else ()


CHILDREN_KEPT = Shape("children kept")
CHILD_PER_TASK = Shape("a child per task", tasks_per_child=1, imports="oasislmf.manager")


class CeleryPeer:
    """A running worker, and the plan sent to it."""

    def __init__(self, tasks: ModuleType) -> None:
        self._tasks = tasks

    def seconds(self, chunks: int, within: float = 1800.0) -> float:
        """Execute a whole plan; the seconds from just before it is sent to its end. Raises celery's TimeoutError."""
        workflow = self._workflow(chunks)
        began = time.perf_counter()
        workflow.apply_async().get(interval=POLL_SECONDS, timeout=within)
        return time.perf_counter() - began

    def _workflow(self, chunks: int) -> Any:
        """The stages of our plan, in a chain; each parallel one is a chord whose body is the stage after it."""
        from celery import chain, chord  # type: ignore[import-untyped]

        stages = plan_run(RunKind.GENERATE_AND_RUN, "celery", 1, chunks)
        links: list[Any] = []
        header: list[Any] = []
        for stage in stages:
            signatures = [self._tasks.step.s(name=f"{stage.step}-{number}") for number in range(stage.size)]
            if stage.parallel:
                header = signatures
                continue
            links.append(chord(header, signatures[0]) if header else signatures[0])
            header = []
        return chain(*links)


@contextmanager
def celery_peer(places: Places, slots: int, shape: Shape) -> Iterator[CeleryPeer]:
    """Start a worker with as many child processes as we have slots, and wait until it has executed a first task."""
    environ = {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "BENCHMARK_BROKER": places.broker(VHOST),
        "BENCHMARK_RESULTS": f"db+{places.database('celery')}",
    }
    worker = Service(
        name=f"celery {shape.name}",
        argv=(
            *(sys.executable, "-m", "celery", "-A", "benchmarks.celery_app", "worker"),
            *("--pool", "prefork", "--concurrency", str(slots), "--prefetch-multiplier", "1", "--loglevel", "WARNING"),
            *shape.arguments,
        ),
        log=places.layout.logs / "celery.log",
        env=environ | {"BENCHMARK_TASK_IMPORTS": shape.imports},
        cwd=CHECKOUT,
        grace=20,
    )
    os.environ.update(environ)  # the application reads it when it is imported
    from benchmarks import celery_app

    with ProcessTree() as tree:
        tree.start(worker)
        peer = CeleryPeer(celery_app)
        celery_app.step.delay(name="warm-up").get(timeout=120)
        try:
            yield peer
        finally:
            celery_app.app.close()
