"""`lossline demo`, as the README has it."""

import subprocess
from pathlib import Path

import psutil
import pytest

from tests.endtoend.conftest import CHECKOUT, PROGRAMS

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(1200)]


def demo(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [str(PROGRAMS / "lossline"), "demo", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False, timeout=1000)


def test_the_demo_shows_losses_writes_a_report_and_leaves_nothing_running(
    environ: dict[str, str], home: Path, tmp_path: Path
) -> None:
    # Given a home of its own
    environ = environ | {"LOSSLINE_HOME": str(home / "demo-home")}
    # When the demo runs
    done = demo(environ, "--out", str(tmp_path / "out"))
    # Then the losses are on the screen
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Average annual loss" in done.stdout
    assert "Net of reinsurance" in done.stdout
    # And outputs and report are in the folder
    assert (tmp_path / "out" / "output" / "gul_S1_ept.csv").stat().st_size
    assert "generate-losses-chunk" in (tmp_path / "out" / "report.html").read_text()
    # And nothing that it started is left
    left = [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if belongs_to(process, str(home / "demo-home"))
    ]
    assert left == []


def test_a_directory_without_its_config_is_one_sentence(environ: dict[str, str], tmp_path: Path) -> None:
    done = demo(environ, "--model", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"{tmp_path} has no oasislmf.json; give the directory of an Oasis model, which has one."
    )


def belongs_to(process: psutil.Process, mark: str) -> bool:
    """Whether a live process names the folder in its command or its environment."""
    info = process.info
    texts = [*(info["cmdline"] or ()), *(info["environ"] or {}).values()]
    return process.is_running() and any(mark in text for text in texts)
