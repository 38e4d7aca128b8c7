"""Which kind of fleet can do what an entry of the file of models asks for. Pure."""

from collections.abc import Iterator, Mapping

from services.worker_controller.models_file import ModelEntry

_OF_CONTAINERS = ("image", "volumes", "networks", "secrets", "cpus", "memory", "gpus")
_CANNOT: Mapping[str, tuple[str, ...]] = {
    "process": (*_OF_CONTAINERS, "placement"),
    "docker": ("placement",),
    "swarm": (),
}
"""Keys that say what a fleet cannot do."""


def beyond(fleet: str, models: Mapping[str, ModelEntry]) -> list[str]:
    """What the entries, by queue, ask for and a fleet of this kind cannot do: sentences."""
    return [f"{queue}: {fault}" for queue, entry in models.items() for fault in _faults(fleet, entry)]


def _faults(fleet: str, entry: ModelEntry) -> Iterator[str]:
    asked = [key for key in _CANNOT[fleet] if getattr(entry, key)]
    if asked:
        yield f"the fleet {fleet!r} cannot do {', '.join(asked)}; leave it out, or choose another fleet"
    if fleet != "process" and not entry.image:
        yield f"it has no image, and the fleet {fleet!r} runs images"
    if fleet == "swarm" and entry.gpus == "all":
        yield "a swarm hands out GPUs by number; say how many in the place of 'all'"
