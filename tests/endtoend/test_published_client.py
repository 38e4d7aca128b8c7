"""The published client of oasislmf, untouched, runs an analysis."""

import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.endtoend.conftest import FILES, PROGRAMS, SETTINGS, Running

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(900)]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_oasislmf_api_run_completes_and_downloads_the_outputs(
    platform: Running, environ: dict[str, str], tmp_path: Path, version: str
) -> None:
    # Given settings that ask for little
    settings = {**json.loads(SETTINGS.read_text()), "il_output": False, "ri_output": False}
    settings["gul_summaries"] = [{"id": 1, "ord_output": {"elt_moment": True}}]
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    login = {"username": "admin", "password": "password"}
    (tmp_path / "login.json").write_text(json.dumps(login))
    # And a model that this version of the API runs
    platform.set_run_mode(version.upper())
    model_id = platform.client.wait_for_model("OasisLMF", "PiWind", "1", within=60)
    # When the client runs an analysis
    command = [
        *(str(PROGRAMS / "oasislmf"), "api", "run", "--server-url", platform.url, "--server-version", version),
        *("--server-login-json", str(tmp_path / "login.json"), "--model-id", str(model_id)),
        *("-x", str(FILES["location_file"]), "-y", str(FILES["accounts_file"]), "-a", str(tmp_path / "settings.json")),
        *("-o", str(tmp_path)),
    ]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=600)
    # Then it has downloaded the outputs
    assert done.returncode == 0, done.stdout + done.stderr
    archives = list(tmp_path.glob("analysis_*_output.tar.gz"))
    assert len(archives) == 1, done.stdout + done.stderr
    with tarfile.open(archives[0]) as archive:
        assert "output/gul_S1_melt.csv" in archive.getnames()
