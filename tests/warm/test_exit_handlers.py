"""Which exit handlers of oasislmf's programs are kept, and which are not."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

HANDLERS = """
import atexit, json, sys
from services.model_worker.warm.exit_handlers import noting_registrations
from services.model_worker.warm.programs import installed_programs
with noting_registrations() as noted:
    for program in installed_programs():
        __import__(program.module)
print(json.dumps(sorted({f"{each.function.__module__}.{each.function.__qualname__}" for each in noted})))
"""


def test_the_handlers_of_oasislmfs_programs_are_those_that_are_known_to_do_no_harm_in_a_fork():
    """One more is a reason to read what it does."""
    output = subprocess.run(
        [sys.executable, "-c", HANDLERS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    ).stdout

    assert set(json.loads(output.splitlines()[-1])) <= {
        "llvmlite.binding.common._at_shutdown",
        "numba.core.utils._at_shutdown",
        "pyarrow._s3fs.ensure_s3_finalized",
        "multiprocessing.util._exit_function",
        "logging.shutdown",
    }
