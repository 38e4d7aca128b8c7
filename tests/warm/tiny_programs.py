"""A warm process of the programs in $TINY_PROGRAMS, for the fork server of the tests to preload."""

import atexit
import os
from pathlib import Path

from services.model_worker.warm.loading import become_warm
from services.model_worker.warm.programs import compiled


def load() -> None:
    atexit.register(os.write, 1, b"an exit handler of the warm process\n")
    scripts = Path(os.environ["TINY_PROGRAMS"])
    become_warm(scripts, [compiled(script, "tiny_module") for script in sorted(scripts.iterdir())])
