"""Where the tasks of a swarm may run, and what they reserve, from the keys `placement` and `gpus`. Pure."""

import re
from typing import Literal

Gpus = int | Literal["all"] | None
"""How many; None for none."""

GPU_KIND = "NVIDIA-GPU"
"""What the nodes of a swarm call their GPUs in `node-generic-resources` of their `daemon.json`."""

_ATTRIBUTES = r"node\.(id|hostname|role|ip|platform\.(os|arch)|labels\.[\w.-]+)|engine\.labels\.[\w.-]+"
_CONSTRAINT = re.compile(rf"({_ATTRIBUTES}) *(==|!=) *\S.*", re.ASCII)


def is_constraint(text: str) -> bool:
    """Whether a swarm understands it: `node.labels.disk == ssd`, `node.role != manager`."""
    return _CONSTRAINT.fullmatch(text) is not None


def generic_resources(gpus: Gpus) -> dict[str, int]:
    """What a task of a swarm reserves, as `docker.types.Resources(generic_resources=...)` takes it."""
    return {GPU_KIND: gpus} if isinstance(gpus, int) else {}
