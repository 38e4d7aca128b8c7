"""The whole platform as a user starts it, and what one machine computes by itself."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from benchmarks import kernel_models
from benchmarks.kernel_models import EXPOSURES, Case
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

    def set_run_mode(self, run_mode: str, model: tuple[str, str, str] = ("OasisLMF", "PiWind", "1")) -> None:
        """Have a model run in this mode where nothing else is asked for: whichever worker was first has chosen."""
        model_id = self.client.wait_for_model(*model, within=120)
        login, url = Login(), f"{self.url}v2/models/{model_id}/"
        answer = requests.patch(url, json={"run_mode": run_mode}, auth=(login.username, login.password), timeout=60)
        answer.raise_for_status()


def ended(client: ApiClient, analysis_id: int) -> dict[str, Any]:
    """The analysis once it has ended, its clean-up too: `services.embedded.demo.follow`, seldom and shown to nobody."""
    while True:
        analysis: dict[str, Any] = client.get(f"v2/analyses/{analysis_id}/")
        over = analysis["status"].endswith(("COMPLETED", "ERROR", "CANCELLED", "NO_KEYS"))
        at_rest = over or (analysis["status"], analysis["run_mode"]) == ("READY", "V1")
        if at_rest and not analysis["status_count"]["TOTAL_IN_QUEUE"]:
            return analysis
        time.sleep(0.5)


Client = Callable[..., str]
"""Runs `oasislmf api <command>` against the platform; what it said."""


def published_client(platform: Running, environ: dict[str, str], folder: Path) -> Client:
    """The program, in this folder and logged in as the administrator."""
    login = folder / "login.json"
    login.write_text(json.dumps({"username": "admin", "password": "password"}))

    def run(command: str, *arguments: str) -> str:
        where = ("--server-url", platform.url, "--server-login-json", str(login))
        full = [str(PROGRAMS / "oasislmf"), "api", command, *where, *arguments]
        done = subprocess.run(full, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def oasislmf_api(platform: Running, environ: dict[str, str], tmp_path: Path) -> Client:
    """The program in the folder of the test."""
    return published_client(platform, environ, tmp_path)


@pytest.fixture(scope="session")
def cases(piwind: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    """PiWind with ten locations, and the example model with its own portfolio."""
    example = kernel_models.coastwind(tmp_path_factory.mktemp("example"))
    return {"piwind": kernel_models.piwind(piwind, 10), "example": example}


@pytest.fixture(scope="package")
def platform(cases: dict[str, Case], home: Path, environ: dict[str, str]) -> Iterator[Running]:
    """`lossline up` with both models, of each a worker with two slots, and one of v1 from the same directory."""
    with lossline_up(cases.values(), home / "up", environ, ["v1", "v2"]) as running:
        yield running


@contextmanager
def lossline_up(
    cases: Collection[Case], home: Path, environ: dict[str, str], modes: Sequence[str]
) -> Iterator[Running]:
    """`lossline up` in a home of its own, up."""
    port, log = free_port(), home.with_suffix(".log")
    command = [str(PROGRAMS / "lossline"), "up", "--port", str(port)]
    command += [text for case in cases for text in ("--model", str(case.model))]
    command += [text for mode in modes for text in ("--run-mode", mode)]
    environ = environ | {"LOSSLINE_HOME": str(home), "OASIS_CELERY_CONCURRENCY": "2"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output, start_new_session=True)
    running = Running(f"http://127.0.0.1:{port}/", process, log)
    try:
        wait_up(running)
        for case in cases:
            running.set_run_mode("V2", case.identity)
        yield running
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def wait_up(running: Running) -> None:
    """Wait for the API; the first start compiles kernels for minutes."""
    ready, deadline = http_ready(f"{running.url}healthcheck/"), time.monotonic() + 900
    while not ready():
        assert running.process.poll() is None, running.log.read_text()
        assert time.monotonic() < deadline, running.log.read_text()
        time.sleep(0.5)


@pytest.fixture(scope="package")
def references(
    cases: dict[str, Case], environ: dict[str, str], platform: Running, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """The outputs of oasislmf's own commands for each case, with the kernels that the platform's start has compiled."""
    return {name: outputs_of(case, environ, tmp_path_factory.mktemp(name) / "run") for name, case in cases.items()}


def outputs_of(case: Case, environ: dict[str, str], run: Path) -> Path:
    """The outputs of `oasislmf model run`."""
    options = [text for name, path in case.exposure.items() for text in (EXPOSURES[name][0], str(path))]
    command = [
        *(str(PROGRAMS / "oasislmf"), "model", "run", "-C", str(case.place.config_path), *options),
        *("-a", str(case.settings), "--model-run-dir", str(run)),
        *("--kernel-num-processes", str(REFERENCE_PROCESSES)),
    ]
    environ = environ | {"PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        command, cwd=run.parent, env=environ, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return run / "output"
