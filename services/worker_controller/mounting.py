"""What an entry's `volumes` mean: folders and files of the host, or volumes of the engine. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

_OPTIONS = {"": False, "rw": False, "ro": True}


@dataclass(frozen=True)
class HostPath:
    """What is there of the host, at which path in the container."""

    source: str
    target: str
    read_only: bool


def split_volumes(volumes: Iterable[str]) -> tuple[list[HostPath], list[str]]:
    """Those that are paths of the host, and those that the engine takes as they are written: named volumes, and what
    has further options.

    An engine that is handed a path of the host as it is written makes an empty folder of it where it is not there.
    """
    paths, others = [], []
    for text in volumes:
        source, _, rest = text.partition(":")
        target, _, options = rest.partition(":")
        if source.startswith("/") and target and options in _OPTIONS:
            paths.append(HostPath(source, target, _OPTIONS[options]))
        else:
            others.append(text)
    return paths, others
