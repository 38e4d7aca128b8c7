"""A fleet of containers on one Docker Engine, through its API. Labels lead back to them after a restart.

The engine is the one that DOCKER_HOST names, else that of this machine. Images are not pulled: which image runs is
decided by whoever brings it there.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, Mount
from requests.exceptions import RequestException

from services.worker_controller.errors import FleetError
from services.worker_controller.fleet import Ended, Member, by_status
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.mounting import split_volumes
from services.worker_controller.placing import Gpus

FLEET, NAME, QUEUE = "lossline.fleet", "lossline.name", "lossline.queue"
"""Labels of a worker's container."""

TIMEOUT = 30
"""Seconds that an engine has for an answer."""

_TAIL = 50
_NEVER_STARTED = 127
_BY_SIGNAL = 128
_CONFLICT = 409
_CONFINED = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "tmpfs": {"/tmp": "mode=1777"}}  # noqa: S108
"""What model code is never given. A read-only root file system leaves volumes, and a small `/tmp`, to write to."""
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_.-]+")


@dataclass
class DockerFleet:
    """`namespace`: what tells the containers of one controller from those of another on the same engine."""

    namespace: str
    environ: Mapping[str, str] = field(repr=False)
    _engine: Any = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        with as_fleet_error():
            self._engine = docker.from_env(timeout=TIMEOUT)
            self._engine.ping()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._engine.close()

    def members(self) -> Sequence[Member]:
        """Every container with our label."""
        with as_fleet_error():
            return [member for row in self._rows() if (member := self._member(row)) is not None]

    def start(self, name: str, model: ModelEntry) -> None:
        """Create and start a container; one that cannot be started is removed."""
        if model.image is None:
            raise FleetError(f"{model.queue} has no image in the file of models, and this fleet runs images")
        if wrong := [source for source in model.secret_files.values() if not source.startswith("/")]:
            raise FleetError(f"secrets of {model.queue} must be paths of files on this machine, not {', '.join(wrong)}")
        with as_fleet_error():
            container = self._engine.containers.create(model.image, **self._options(name, model))
            try:
                for network in model.networks[1:]:
                    self._engine.networks.get(network).connect(container)
                container.start()
            except DockerException:
                container.remove(force=True, v=True)
                raise

    def stop(self, name: str) -> None:
        """SIGTERM; the engine's own stop would kill after a while."""
        self._signal(name, "SIGTERM")

    def kill(self, name: str) -> None:
        """SIGKILL to all that runs in the container."""
        self._signal(name, "SIGKILL")

    def forget(self, name: str) -> None:
        """Remove the container and the volumes that are its own."""
        with as_fleet_error():
            for row in self._rows(name):
                self._engine.api.remove_container(row["Id"], force=True, v=True)

    def _options(self, name: str, model: ModelEntry) -> dict[str, Any]:
        paths, volumes = split_volumes([*model.volumes, *_secrets(model)])
        return {
            "name": _NOT_IN_NAMES.sub("-", name),
            "command": list(model.command) or None,
            "environment": model.variables(self.environ) | {"LOSSLINE_FLEET_NAME": name},
            "labels": {FLEET: self.namespace, NAME: name, QUEUE: model.queue},
            "mounts": [Mount(path.target, path.source, "bind", path.read_only) for path in paths],
            "volumes": volumes,
            "network": model.networks[0] if model.networks else None,
            "nano_cpus": None if model.cpus is None else int(model.cpus * 1e9),
            "mem_limit": model.memory,
            "read_only": model.read_only,
            "device_requests": gpu_requests(model.gpus),
            **_CONFINED,
        }

    def _rows(self, name: str | None = None) -> list[dict[str, Any]]:
        labels = [f"{FLEET}={self.namespace}", *([f"{NAME}={name}"] if name else [])]
        rows: list[dict[str, Any]] = self._engine.api.containers(all=True, filters={"label": labels})
        return rows

    def _member(self, row: Mapping[str, Any]) -> Member | None:
        """None for a container that has gone since it was listed."""
        name, queue = str(row["Labels"][NAME]), str(row["Labels"][QUEUE])
        age = max(0.0, time.time() - float(row["Created"]))
        if row["State"] not in ("created", "exited", "dead"):
            return Member(name, queue, age)
        try:
            state = self._engine.api.inspect_container(row["Id"])["State"]
        except NotFound:
            return None
        return Member(name, queue, age, how_it_ended(state, self._last_words(row, state)))

    def _last_words(self, row: Mapping[str, Any], state: Mapping[str, Any]) -> str:
        """The last line on its standard error; none where its log is kept elsewhere."""
        if not state["ExitCode"]:
            return ""
        try:
            # The engine counts lines of both streams, and leaves out the other one's afterwards.
            said: bytes = self._engine.api.logs(row["Id"], stdout=False, stderr=True, tail=_TAIL)
        except APIError:
            return ""
        return said.decode(errors="replace")

    def _signal(self, name: str, number: str) -> None:
        with as_fleet_error():
            for row in self._rows(name):
                try:
                    self._engine.api.kill(row["Id"], number)
                except APIError as error:  # it has ended meanwhile
                    if error.status_code not in (_CONFLICT, 404):
                        raise


def gpu_requests(gpus: Gpus) -> list[DeviceRequest]:
    """What the engine is asked for, where a model wants GPUs: so many, or all that the host has."""
    if gpus is None:
        return []
    return [DeviceRequest(count=-1 if gpus == "all" else gpus, capabilities=[["gpu"]])]


def image_labels(image: str) -> Mapping[str, str]:
    """The labels of an image; none where the engine does not have it. Raises FleetError."""
    with as_fleet_error(), closing(docker.from_env(timeout=TIMEOUT)) as engine:
        try:
            return dict(engine.images.get(image).labels)
        except ImageNotFound:
            return {}


def how_it_ended(state: Mapping[str, Any], words: str = "") -> Ended:
    """The end of a container from what the engine says of its state, and the last line that it wrote."""
    code = int(state["ExitCode"])
    if state["Status"] == "created":
        # The controller was killed between creating and starting it.
        return Ended(_NEVER_STARTED, None, f"it was never started: {state.get('Error') or 'no reason is known'}")
    by_signal = code - _BY_SIGNAL if code > _BY_SIGNAL else None
    reason = f"killed by signal {by_signal}" if by_signal else by_status(code, words, "the log of the container")
    if state.get("OOMKilled"):
        reason = f"out of memory: the container reached its limit ({reason})"
    return Ended(code if by_signal is None else None, by_signal, reason)


def _secrets(model: ModelEntry) -> list[str]:
    return [f"{source}:/run/secrets/{file}:ro" for file, source in model.secret_files.items()]


@contextmanager
def as_fleet_error() -> Iterator[None]:
    """What an engine and its client raise, as FleetError."""
    try:
        yield
    except ImageNotFound as error:
        raise FleetError(f"the engine does not have the image: {error.explanation}; pull or build it") from error
    except (DockerException, RequestException, KeyError, ValueError) as error:
        raise FleetError(f"the Docker Engine fails: {error}") from error
