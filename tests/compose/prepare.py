"""Have an engine, and in it all images of the tests of containers, before these begin: beside others, for example.

    LOSSLINE_TEST_ENGINE=DIR python -m tests.compose.prepare
    LOSSLINE_TEST_ENGINE=DIR python -m tests.compose.prepare --stop

Others go first: what is done here, and what the engine does from then on, has the lowest priority. An engine that
answers already is used, and not stopped. Where there is none, and none can be started, the last line says why.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.compose.engine import engine_answers, kept_folder, start_engine, stop_engine
from tests.compose.stack import build_images

_LOWEST = 19


def main() -> int:
    """Prepare, or stop what was started for it. Exit status 0, or 1 where containers cannot be tested, or 2."""
    state = kept_folder()
    if state is None:
        sys.stderr.write("Set LOSSLINE_TEST_ENGINE to a folder, in which images are kept until the tests use them.\n")
        return 2
    if sys.argv[1:] == ["--stop"]:
        stop_engine(state)
        return 0
    os.nice(_LOWEST)
    try:
        prepare(state)
    except (pytest.fail.Exception, pytest.skip.Exception) as reason:
        sys.stderr.write(f"Containers cannot be tested here: {reason}.\n")
        return 1
    return 0


def prepare(state: Path) -> None:
    """Leave an engine running, with all images in it."""
    if not engine_answers():
        start_engine(state)
    with tempfile.TemporaryDirectory(prefix="lossline-images-") as folder:
        build_images(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
