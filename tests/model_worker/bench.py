"""A place for one test: a tiny model, an object store, grants with orders for the steps, and worker processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from services.embedded.environment import Surroundings
from services.embedded.models import ModelDirectory, read_model_directory
from services.embedded.ports import free_port
from services.model_worker.processes.markers import SWEEP_VARIABLE
from shared import names
from shared.core.inputs import FileRef
from shared.core.plan import Phase, SlotWeight, attempt_prefix, log_key
from shared.messages.catalogue import Grant
from shared.object_store.directory import DirectoryStore
from tests.model_worker.waiting import wait_for

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


@dataclass
class WorkerProcess:
    """`python -m services.model_worker`, and what can be seen of it from outside."""

    process: "subprocess.Popen[bytes]"
    id_file: Path
    stderr: Path
    health_port: int

    @property
    def worker_id(self) -> str:
        """What the process calls itself; it says so as soon as its settings are read."""
        return wait_for(self._said_id, "the worker's id").split()[1]

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, within: float) -> int:
        """The exit status."""
        return self.process.wait(within)

    def log(self) -> str:
        """What it has logged so far."""
        return self.stderr.read_text()

    def processes(self) -> list[psutil.Process]:
        """Every living process that it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def _said_id(self) -> str | None:
        assert self.process.poll() is None, self.log()
        return self.id_file.read_text() if self.id_file.exists() else None


@dataclass
class Bench:
    """All that the workers of one model have in common. Objects and flag files lie below `folder`."""

    folder: Path
    broker: str
    model: ModelDirectory = field(init=False)
    store: DirectoryStore = field(init=False)
    run_uuid: str = field(default_factory=lambda: uuid4().hex)
    workers: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = make_model(self.folder / "model")
        (self.folder / "objects").mkdir()
        self.store = DirectoryStore(self.folder / "objects")

    @property
    def queue(self) -> str:
        """The queue of the model."""
        return names.model_queue(self.model.supplier_id, self.model.model_id, self.model.version_id, "V2")

    @property
    def place(self) -> Path:
        """Where a first worker keeps its files."""
        return self.folder / "run" / f"{self.queue}.0"

    def environ(self, slots: int = 2, /, **more: str) -> dict[str, str]:
        """The environment of a worker."""
        keep = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE)))}
        objects, cache = self.store.root, self.folder / "numba"
        around = Surroundings("postgresql://nobody@nowhere/none", self.broker, objects, "", cache, keep=keep)
        chosen = around.of_worker(self.model, slots, self.folder / "run", self.folder / f"id-{len(self.workers)}")
        return chosen | {"LOSSLINE_STEPS": "worker_steps", "OASIS_WORKER_STOP_GRACE": "1"} | more

    def start(self, slots: int = 2, program: str = "quick_worker", /, **more: str) -> WorkerProcess:
        """Start a worker; it may not be up yet. `program` may also be `services.model_worker` itself."""
        port, environ = free_port(), self.environ(slots, **more)
        stderr = self.folder / f"worker-{len(self.workers)}.log"
        with stderr.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", program],
                cwd=ROOT,
                env={"OASIS_WORKER_HEALTH_PORT": str(port)} | environ,
                stderr=file,
            )
        self.workers.append(WorkerProcess(process, Path(environ["LOSSLINE_WORKER_ID_FILE"]), stderr, port))
        return self.workers[-1]

    def stop(self) -> None:
        """Kill the workers that still run, and fail if anything of theirs is left."""
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()
        wait_for(lambda: not self.marked(), "the end of all processes of the workers", 5)

    def marked(self) -> list[psutil.Process]:
        """Living processes of this machine that belong to workers of this bench."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def put(self, text: str, filename: str = "file.csv") -> FileRef:
        """A new object."""
        key = f"requests/{uuid4()}"
        path = self.folder / "staged"
        path.write_text(text)
        self.store.put_file(key, path)
        return FileRef(key, filename)

    def text_of(self, key: str) -> str:
        """The content of an object."""
        with self.store.open(key) as stream:
            return stream.read().decode()

    def flag(self, name: str) -> Path:
        """A file through which a step and its test tell each other something."""
        return self.folder / f"{name}-{uuid4().hex[:8]}"

    def grant(
        self,
        orders: Mapping[str, Any] | None = None,
        *,
        step: str = "prepare-keys-file",
        phase: Phase = Phase.INPUTS,
        weight: SlotWeight = SlotWeight.ONE,
        files: Mapping[str, FileRef] | None = None,
        **more: Any,
    ) -> Grant:
        """A grant of a step that obeys these orders."""
        attempt_id, run_uuid = uuid4(), more.pop("run_uuid", self.run_uuid)
        settings = {} if orders is None else {"settings_file": self.put(json.dumps(orders), "settings.json")}
        return Grant(
            attempt_id=attempt_id,
            fence=1,
            lease_seconds=10,
            run_id=1,
            run_uuid=run_uuid,
            analysis_id=7,
            sub_task_id=1,
            step=step,
            slug=more.pop("slug", step),
            phase=phase,
            chunk=more.pop("chunk", None),
            chunks=more.pop("chunks", None),
            weight=weight,
            key_prefix=attempt_prefix(phase, 7, run_uuid, str(attempt_id)),
            log_key=log_key(run_uuid, str(attempt_id)),
            files=settings | dict(files or {}),
            **more,
        )

    def waiting(self, **options: Any) -> tuple[Grant, Path, Path]:
        """A grant of a step that obeys and then waits, its file that says so, and the one that lets it go on."""
        runs, go_on = self.flag("runs"), self.flag("go-on")
        orders = options.pop("orders", {})
        return self.grant({**orders, "touch": str(runs), "wait_for": str(go_on)}, **options), runs, go_on

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            environ = process.environ()
            ours = environ.get("OASIS_BASE_RUN_DIR") == str(self.folder / "run")
            return ours and SWEEP_VARIABLE in environ and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


def make_model(path: Path) -> ModelDirectory:
    """A model directory with a name that no other test has."""
    (path / "meta-data").mkdir(parents=True)
    (path / "oasislmf.json").write_text(json.dumps({"Model_Data_Dir": "model_data"}))
    settings = {"model_supplier_id": "Ours", "model_name_id": f"M{uuid4().hex[:8]}", "model_version_id": "1"}
    (path / "meta-data" / "model_settings.json").write_text(json.dumps(settings))
    return read_model_directory(path)


def terminate(worker: WorkerProcess, within: float) -> int:
    """SIGTERM; the exit status. Fails if it takes longer."""
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    status = worker.wait(within + 5)
    assert time.monotonic() - began < within, worker.log()
    return status
