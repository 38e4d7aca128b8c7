"""What the fork server has imported before it forks a step."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, threading
import services.model_worker.steps.registry
print("matplotlib.pyplot" in sys.modules, threading.active_count())
"""


def test_what_draws_oasislmfs_charts_is_imported_before_a_step_is_forked_and_leaves_no_thread() -> None:
    if find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed, so oasislmf draws nothing")
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "1"]
