"""A fleet of containers on the hosts of a Docker Swarm, through a manager's engine. Labels lead back to them.

A service for each worker, not for each queue: docs/decisions/0025 says why. The engine is the one that DOCKER_HOST
names, else that of this machine. A host pulls an image that it does not have.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

import docker
from docker.errors import NotFound
from docker.types import SecretReference, ServiceMode

from services.worker_controller.docker_fleet import FLEET, NAME, TIMEOUT, as_fleet_error
from services.worker_controller.errors import FleetError
from services.worker_controller.fleet import Member
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.swarm_service import service_of
from services.worker_controller.swarm_tasks import KILLED, first_task, is_to_end, member_of, out_of_memory

_GRACE = 45.0
"""Seconds from SIGTERM to SIGKILL: more than a worker's drain time."""


@dataclass
class SwarmFleet:
    """`namespace`: what tells the services of one controller from those of another in the same Swarm."""

    namespace: str
    environ: Mapping[str, str] = field(repr=False)
    grace: float = _GRACE
    _engine: Any = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        with as_fleet_error():
            self._engine = docker.from_env(timeout=TIMEOUT)
            if not self._engine.info()["Swarm"].get("ControlAvailable"):
                self._engine.close()
                raise FleetError("the Docker Engine is no manager of a Swarm; make it one with `docker swarm init`")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._engine.close()

    def members(self) -> Sequence[Member]:
        """Every service with our label."""
        with as_fleet_error():
            return [member for _, member in self._look()]

    def start(self, name: str, model: ModelEntry) -> None:
        """Create a service. Whether a host has room for it, and its image, shows later."""
        if model.image is None:
            raise FleetError(f"{model.queue} has no image in the file of models, and this fleet runs images")
        environment = model.variables(self.environ) | {"LOSSLINE_FLEET_NAME": name}
        with as_fleet_error():
            secrets = self._secrets(model)
            service = service_of(name, model, self.namespace, environment, secrets, self.grace)
            self._engine.api.create_service(**service)

    def stop(self, name: str) -> None:
        """SIGTERM, and SIGKILL after the grace: a service is told to have no task."""
        self._end(name, {})

    def kill(self, name: str) -> None:
        """As `stop`: a Swarm knows no other way. The end is told as that by a kill."""
        self._end(name, {KILLED: "yes"})

    def forget(self, name: str) -> None:
        """Remove the service; the hosts remove the container and the volumes that are its own."""
        with as_fleet_error():
            for service in self._services(name):
                try:
                    self._engine.api.remove_service(service["ID"])
                except NotFound:  # somebody else was quicker
                    continue

    def _end(self, name: str, mark: Mapping[str, str]) -> None:
        with as_fleet_error():
            for service, member in self._look(name):
                if member.ended is None:
                    self._engine.api.update_service(
                        service["ID"],
                        service["Version"]["Index"],
                        labels={**service["Spec"]["Labels"], **mark},
                        mode=ServiceMode("replicated", replicas=0),
                        fetch_current_spec=True,
                    )

    def _look(self, name: str | None = None) -> Iterator[tuple[dict[str, Any], Member]]:
        services = self._services(name)  # before the tasks: a service without any is then one that has none
        tasks, lost, now = self._tasks(), self._lost_hosts(), time.time()
        for service in services:
            own = tasks[service["ID"]]
            member = member_of(service, own, lost, now)
            by_itself = own and member.ended is not None and not is_to_end(service)
            yield service, self._explained(member, first_task(own)) if by_itself else member

    def _explained(self, member: Member, task: Mapping[str, Any]) -> Member:
        """With the one reason that a Swarm does not tell. An engine knows it of the containers on its own host."""
        if member.ended is None or member.ended.in_order:
            return member
        container = task["Status"].get("ContainerStatus", {}).get("ContainerID")
        try:
            known = bool(container and self._engine.api.inspect_container(container)["State"]["OOMKilled"])
        except NotFound:
            known = False
        return replace(member, ended=out_of_memory(member.ended, task, known=known))

    def _services(self, name: str | None = None) -> list[dict[str, Any]]:
        labels = [f"{FLEET}={self.namespace}", *([f"{NAME}={name}"] if name else [])]
        rows: list[dict[str, Any]] = self._engine.api.services(filters={"label": labels})
        return rows

    def _tasks(self) -> Mapping[str, list[dict[str, Any]]]:
        """By the id of their service."""
        found = defaultdict(list)
        for task in self._engine.api.tasks(filters={"label": f"{FLEET}={self.namespace}"}):
            found[task["ServiceID"]].append(task)
        return found

    def _lost_hosts(self) -> Mapping[str, str]:
        nodes = self._engine.api.nodes()
        return {node["ID"]: node["Description"]["Hostname"] for node in nodes if node["Status"]["State"] == "down"}

    def _secrets(self, model: ModelEntry) -> list[Any]:
        ids = {secret["Spec"]["Name"]: secret["ID"] for secret in self._engine.api.secrets()} if model.secrets else {}
        if missing := sorted(set(model.secret_files.values()) - ids.keys()):
            raise FleetError(f"the Swarm has no secret {', '.join(missing)}; make it with `docker secret create`")
        return [SecretReference(ids[source], source, file) for file, source in model.secret_files.items()]
