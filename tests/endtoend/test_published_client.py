"""The published client of oasislmf, untouched: every command that users have."""

import json
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from services.embedded.environment import Login
from tests.endtoend.conftest import FILES, SETTINGS, Client, Running, published_client

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(900)]

_PORTFOLIO_FILES = ("location_file", "accounts_file")
_ANALYSIS_FILES = (
    "settings_file",
    "run_traceback_file",
    "run_log_file",
    "input_generation_traceback_file",
    "input_file",
    "output_file",
    "summary_levels_file",
    "lookup_validation_file",
    "lookup_success_file",
    "lookup_errors_file",
)


@dataclass(frozen=True)
class Ran:
    """An analysis that `oasislmf api run` has run in v2, and the folder with its outputs."""

    client: Client
    folder: Path
    analysis: dict[str, Any]
    sub_task: int

    @property
    def ids(self) -> dict[str, str]:
        """As arguments."""
        return {name: str(self.analysis[name]) for name in ("id", "portfolio", "model")}


@pytest.fixture(scope="module")
def ran(platform: Running, environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("published")
    client = published_client(platform, environ, folder)
    pk = run_whole(platform, client, folder, "v2", "--lookup-chunks", "2", "--analysis-chunks", "3")
    sub_tasks = platform.client.get(f"v2/analyses/{pk}/sub_task_list/")
    return Ran(client, folder, platform.client.get(f"v2/analyses/{pk}/"), int(sub_tasks[0]["id"]))


def run_whole(platform: Running, client: Client, folder: Path, version: str, *more: str) -> int:
    """`oasislmf api run` with settings that ask for little; the id of the analysis."""
    settings = {**json.loads(SETTINGS.read_text()), "il_output": False, "ri_output": False}
    settings["gul_summaries"] = [{"id": 1, "ord_output": {"elt_moment": True}}]
    (folder / "settings.json").write_text(json.dumps(settings))
    platform.set_run_mode(version.upper())
    model = platform.client.wait_for_model("OasisLMF", "PiWind", "1", within=60)
    files = ("-x", str(FILES["location_file"]), "-y", str(FILES["accounts_file"]), "-a", str(folder / "settings.json"))
    said = client("run", "--server-version", version, "--model-id", str(model), *files, *more, "-o", str(folder))
    archives = list(folder.glob("analysis_*_output.tar.gz"))
    assert len(archives) == 1, said
    return int(archives[0].name.split("_")[1])


def outputs(folder: Path, pk: object) -> list[str]:
    """The names in the archive that the client has downloaded."""
    with tarfile.open(folder / f"analysis_{pk}_output.tar.gz") as archive:
        return archive.getnames()


def test_api_run_completes_and_downloads_the_outputs_in_v1(
    platform: Running, oasislmf_api: Client, tmp_path: Path
) -> None:
    pk = run_whole(platform, oasislmf_api, tmp_path, "v1")

    assert "output/gul_S1_melt.csv" in outputs(tmp_path, pk)


def test_api_run_completes_and_downloads_the_outputs_in_v2(ran: Ran) -> None:
    assert "output/gul_S1_melt.csv" in outputs(ran.folder, ran.ids["id"])
    assert (ran.analysis["lookup_chunks"], ran.analysis["analysis_chunks"]) == (2, 3)


@pytest.fixture(scope="module")
def said(ran: Ran) -> dict[str, str]:
    """What the commands say that change nothing, two at a time: most of their time is their start."""
    ids, sub_task, into = ran.ids, str(ran.sub_task), ran.folder / "got"
    into.mkdir()
    of_portfolio = [f"--portfolio-{name.replace('_', '-')}={ids['portfolio']}" for name in _PORTFOLIO_FILES]
    of_analysis = [f"--analyses-{name.replace('_', '-')}={ids['id']}" for name in _ANALYSIS_FILES]
    of_model = [f"--model-{name}={ids['model']}" for name in ("settings", "versions")]
    commands = {
        "server-info": ("server-info",),
        "list": ("list",),
        "list one": ("list", "-m", ids["model"], "-p", ids["portfolio"], "-a", ids["id"], "-t", sub_task),
        "get": ("get", "-o", str(into), *of_model, *of_portfolio, *of_analysis, "--subtask-output-log", sub_task),
        "sub-tasks": ("sub-tasks", "--analysis-id", ids["id"]),
        "plot": ("plot", "--analysis-id", ids["id"], "-o", str(ran.folder / "plot.png")),
    }
    with ThreadPoolExecutor(2) as two:
        return dict(zip(commands, two.map(lambda each: ran.client(*each), commands.values()), strict=True))


def test_api_server_info_says_which_server_it_is(said: dict[str, str]) -> None:
    assert '"API_AUTH_TYPE": "simple_jwt"' in said["server-info"]


def test_api_list_shows_what_there_is_and_each_of_it(said: dict[str, str], ran: Ran) -> None:
    for table in ("Available models", "Available portfolios", "Available analyses", "PiWind", "RUN_COMPLETED"):
        assert table in said["list"]
    for key in ('"chunking_configuration"', '"validation_status"', '"status_count"', '"slug"'):
        assert key in said["list one"]
    assert "Not found" not in said["list one"]


def test_api_get_downloads_every_file(said: dict[str, str], ran: Ran) -> None:
    ids = ran.ids
    expected = {f"{ids['model']}_models_{name}" for name in ("settings", "versions")}
    expected |= {f"{ids['portfolio']}_portfolios_{name}" for name in _PORTFOLIO_FILES}
    expected |= {f"{ids['id']}_analyses_{name}" for name in _ANALYSIS_FILES} | {
        f"{ran.sub_task}_task_status_output_log"
    }

    got = {path.name.partition(".")[0].removesuffix("None"): path for path in (ran.folder / "got").iterdir()}

    assert set(got) == expected, said["get"]
    assert got[f"{ids['portfolio']}_portfolios_location_file"].read_bytes() == FILES["location_file"].read_bytes()
    # What is about nothing may be empty.
    assert [name for name, path in got.items() if not path.stat().st_size and "errors" not in name] == []


def test_api_sub_tasks_and_plot_show_the_run(said: dict[str, str], ran: Ran) -> None:
    assert '"slug": "generate-losses-chunk-2"' in said["sub-tasks"]
    assert (ran.folder / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_api_reconnect_follows_a_run_that_is_under_way(platform: Running, ran: Ran, tmp_path: Path) -> None:
    # Given a run that takes longer than the client's start
    chunking = {"loss_strategy": "FIXED_CHUNKS", "fixed_analysis_chunks": 16}
    platform.client.post(f"v2/analyses/{ran.ids['id']}/chunking_configuration/", chunking)
    platform.client.post(f"v2/analyses/{ran.ids['id']}/run/")

    followed = ran.client("reconnect", "--analysis-id", ran.ids["id"], "-o", str(tmp_path))

    assert f"Analysis Run: Complete (id={ran.ids['id']})" in followed
    assert "output/gul_S1_melt.csv" in outputs(tmp_path, ran.ids["id"])


def test_api_post_cancel_and_delete_change_what_they_name(platform: Running, ran: Ran) -> None:
    # Given a model that nobody serves, so that its analyses wait
    client = platform.client
    names = {"supplier_id": "Nobody", "model_id": "Serves", "version_id": "1", "run_mode": "V2"}
    model = int(client.post("v2/models/", names)["id"])
    analysis = int(
        client.post("v2/analyses/", {"name": "a", "portfolio": ran.analysis["portfolio"], "model": model})["id"]
    )
    client.post(f"v2/analyses/{analysis}/generate_inputs/")
    # When one is cancelled, and a portfolio is made
    ran.client("cancel", "--analysis-id", str(analysis))
    ran.client("post", "--portfolio-name", "posted", "-x", str(FILES["location_file"]))
    # Then it is, and that is there
    assert client.get(f"v2/analyses/{analysis}/")["status"] == "INPUTS_GENERATION_CANCELLED"
    (portfolio,) = [each["id"] for each in client.get("v2/portfolios/", name="posted") if each["location_file"]]
    # And all is gone once it is deleted
    said = ran.client("delete", "-a", str(analysis), "-p", str(portfolio), "-m", str(model))
    assert "Delete error" not in said
    for path in (f"analyses/{analysis}", f"portfolios/{portfolio}", f"models/{model}"):
        login = (Login().username, Login().password)
        assert requests.get(f"{platform.url}v2/{path}/", auth=login, timeout=60).status_code == 404
