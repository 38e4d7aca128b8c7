"""Named points in the life of a service at which it is killed; see tests/faults/points/sitecustomize.py."""

import shutil
from collections.abc import Mapping
from pathlib import Path

BEFORE, AFTER = "before", "after"

POINTS: Mapping[str, tuple[str, ...]] = {
    "api": ("commit", "upload"),
    "task-controller": ("commit", "publish", "reply", "acknowledge"),
    "worker-monitor": ("commit", "reply", "acknowledge", "upload"),
    "worker-1": ("publish", "acknowledge", "upload"),
    "worker-2": ("publish", "acknowledge", "upload"),
}
"""What each service does: commits to the database, publishes confirmed or not, acknowledges, writes objects."""


class Points:
    """Arms points by files; a service looks for them whenever it passes one."""

    def __init__(self, folder: Path, services: tuple[str, ...]) -> None:
        self._folder = folder
        for service in services:
            (folder / service).mkdir(parents=True)

    def arm(self, service: str, point: str, side: str, turn: int = 1) -> None:
        """Kill the service the `turn`-th time from now that it comes to this side of the point."""
        path = self._folder / service / f"{point}.{side}"
        path.with_suffix(".new").write_text(f"{turn:9d}", encoding="ascii")
        path.with_suffix(".new").rename(path)

    def is_armed(self, service: str, point: str, side: str) -> bool:
        """Whether the service has not come there often enough yet."""
        return (self._folder / service / f"{point}.{side}").exists()

    def set_clock(self, service: str, seconds: float) -> None:
        """Let the wall clock of a service be so far off, from now on."""
        (self._folder / service / "clock").write_text(str(seconds), encoding="ascii")

    def clear(self) -> None:
        """Disarm everything, and set the clocks right."""
        for folder in self._folder.iterdir():
            shutil.rmtree(folder)
            folder.mkdir()
