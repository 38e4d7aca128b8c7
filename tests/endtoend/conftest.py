"""The whole platform as a user starts it, and what one machine computes by itself."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from services.embedded.client import ApiClient
from services.embedded.environment import Login, with_programs
from services.embedded.ports import free_port
from services.embedded.readiness import http_ready

CHECKOUT = Path(__file__).resolve().parents[2]
PIWIND = CHECKOUT.parent / "shared" / "models" / "PiWind"
PROGRAMS = Path(sys.executable).parent
FILES = {
    "location_file": PIWIND / "exposure/SourceLocOEDPiWind10.csv",
    "accounts_file": PIWIND / "exposure/SourceAccOEDPiWind.csv",
    "reinsurance_info_file": PIWIND / "exposure/SourceReinsInfoOEDPiWind.csv",
    "reinsurance_scope_file": PIWIND / "exposure/SourceReinsScopeOEDPiWind.csv",
}
SETTINGS = PIWIND / "analysis_settings.json"
REFERENCE_PROCESSES = 2


@pytest.fixture(scope="session")
def piwind() -> Path:
    """The model directory of PiWind."""
    if not PIWIND.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{PIWIND} is missing")
        pytest.skip("PiWind is not beside the checkout")
    return PIWIND


@pytest.fixture(scope="session")
def kernel_cache() -> Path:
    """Compiled kernels, kept between test runs."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lossline" / "numba"
    return Path(os.environ.get("NUMBA_CACHE_DIR") or default)


@pytest.fixture(scope="session")
def environ(kernel_cache: Path) -> dict[str, str]:
    """The environment of a user who has just installed Lossline."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OASIS_", "LOSSLINE_"))}
    return kept | {"NUMBA_CACHE_DIR": str(kernel_cache), "PATH": with_programs(kept.get("PATH", ""))}


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A data folder that PostgreSQL's account can reach."""
    path = Path(tempfile.mkdtemp(prefix="lossline-e2e-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@dataclass(frozen=True)
class Running:
    """A `lossline up` that is up."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def client(self) -> ApiClient:
        """Logged in as the administrator."""
        return ApiClient(self.url, Login())

    def set_run_mode(self, run_mode: str) -> None:
        """Have PiWind run in this mode where nothing else is asked for: whichever worker was first has chosen."""
        model_id = self.client.wait_for_model("OasisLMF", "PiWind", "1", within=120)
        login, url = Login(), f"{self.url}v2/models/{model_id}/"
        answer = requests.patch(url, json={"run_mode": run_mode}, auth=(login.username, login.password), timeout=60)
        answer.raise_for_status()


@pytest.fixture(scope="session")
def platform(piwind: Path, home: Path, environ: dict[str, str]) -> Iterator[Running]:
    """`lossline up` with PiWind: one worker with two slots, and one of v1, from the same directory."""
    port, log = free_port(), home / "up.log"
    command = [str(PROGRAMS / "lossline"), "up", "--model", str(piwind), "--port", str(port)]
    command += ["--run-mode", "v1", "--run-mode", "v2"]
    environ = environ | {"LOSSLINE_HOME": str(home / "up"), "OASIS_CELERY_CONCURRENCY": "2"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output, start_new_session=True)
    running = Running(f"http://127.0.0.1:{port}/", process, log)
    try:
        wait_up(running)
        yield running
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def wait_up(running: Running) -> None:
    """Wait for the API and for the worker's registration; the first start compiles kernels for minutes."""
    ready, deadline = http_ready(f"{running.url}healthcheck/"), time.monotonic() + 900
    while not ready():
        assert running.process.poll() is None, running.log.read_text()
        assert time.monotonic() < deadline, running.log.read_text()
        time.sleep(0.5)
    running.set_run_mode("V2")


@pytest.fixture(scope="session")
def reference(
    piwind: Path, environ: dict[str, str], platform: Running, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The outputs of `oasislmf model run`, with the kernels that the platform's start has compiled."""
    run = tmp_path_factory.mktemp("reference")
    command = [
        *(str(PROGRAMS / "oasislmf"), "model", "run", "-C", str(piwind / "oasislmf.json")),
        *("-x", str(FILES["location_file"]), "-y", str(FILES["accounts_file"])),
        *("-i", str(FILES["reinsurance_info_file"]), "-s", str(FILES["reinsurance_scope_file"])),
        *("-a", str(SETTINGS), "--model-run-dir", str(run / "run")),
        *("--kernel-num-processes", str(REFERENCE_PROCESSES)),
    ]
    done = subprocess.run(command, cwd=run, env=environ, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return run / "run" / "output"
