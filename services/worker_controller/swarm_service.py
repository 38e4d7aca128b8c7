"""A worker as a Swarm is told of it: a service of one task, which is never started again. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from docker.types import (
    ContainerSpec,
    EndpointSpec,
    Healthcheck,
    Mount,
    NetworkAttachmentConfig,
    Placement,
    Resources,
    RestartPolicy,
    ServiceMode,
    TaskTemplate,
)
from docker.utils import parse_bytes

from services.worker_controller.docker_fleet import FLEET, NAME, QUEUE
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.placing import generic_resources

LONGEST_NAME = 63
"""Of a service, which is also a name of the Swarm's DNS."""

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9]+")
_NANO = 10**9


def service_of(
    name: str, model: ModelEntry, namespace: str, environment: Mapping[str, str], secrets: Sequence[Any], grace: float
) -> dict[str, Any]:
    """The arguments of `create_service`.

    `secrets`: references to those of the model. `grace`: seconds from SIGTERM to SIGKILL. Raises what the engine's
    client raises for values without sense.
    """
    return {
        "name": service_name(name),
        "labels": {FLEET: namespace, NAME: name, QUEUE: model.queue},
        "mode": ServiceMode("replicated", replicas=1),
        # Nobody connects to a worker: it needs no address that is shared out.
        "endpoint_spec": EndpointSpec(mode="dnsrr"),
        "task_template": TaskTemplate(
            _container(model, environment, secrets, grace),
            resources=_resources(model),
            restart_policy=RestartPolicy("none"),
            networks=[NetworkAttachmentConfig(network) for network in model.networks],
            placement=Placement(constraints=list(model.placement)),
        ),
    }


def service_name(name: str) -> str:
    """What the Swarm calls a worker. The end, which tells workers of a queue apart, is kept."""
    return _NOT_IN_NAMES.sub("-", name)[-LONGEST_NAME:].strip("-")


def _container(model: ModelEntry, environment: Mapping[str, str], secrets: Sequence[Any], grace: float) -> Any:
    return ContainerSpec(
        model.image,
        args=list(model.command) or None,
        env=dict(environment),
        mounts=[*map(Mount.parse_mount_string, model.volumes), Mount("/tmp", None, "tmpfs", tmpfs_mode=0o1777)],  # noqa: S108
        secrets=list(secrets),
        stop_grace_period=int(grace * _NANO),
        read_only=model.read_only,
        cap_drop=["ALL"],
        # Engines before 25 take no notice of it.
        privileges={"NoNewPrivileges": True},
        # A Swarm ends what is not healthy; a worker that reaches nobody goes on with what it has.
        healthcheck=Healthcheck(test=["NONE"]),
    )


def _resources(model: ModelEntry) -> Any:
    """Limits are reservations too: a worker goes to a host that has so much left, or waits for one."""
    cpus = None if model.cpus is None else int(model.cpus * _NANO)
    memory = None if model.memory is None else parse_bytes(model.memory)
    return Resources(
        cpu_limit=cpus,
        mem_limit=memory,
        cpu_reservation=cpus,
        mem_reservation=memory,
        generic_resources=generic_resources(model.gpus) or None,
    )
