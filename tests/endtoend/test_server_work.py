"""The published client of oasislmf, untouched, has a portfolio validated and run, and losses combined."""

import csv
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.conftest import FILES, SETTINGS, Client, Running

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(900)]


@pytest.fixture
def portfolio(platform: Running) -> int:
    """A portfolio with a location file and an accounts file."""
    created: dict[str, Any] = platform.client.post("v2/portfolios/", {"name": "homes"})
    for name in ("location_file", "accounts_file"):
        platform.client.upload(f"v2/portfolios/{created['id']}/{name}/", FILES[name])
    return int(created["id"])


def test_oasislmf_api_validate_finds_the_files_valid(platform: Running, oasislmf_api: Client, portfolio: int) -> None:
    said = oasislmf_api("validate", "--portfolio-id", str(portfolio), "--poll-interval", "1")

    assert "status=RUN_COMPLETED" in said
    assert platform.client.get(f"v2/portfolios/{portfolio}/validate/") == {
        "location_validated": True,
        "accounts_validated": True,
        "reinsurance_info_validated": None,
        "reinsurance_scope_validated": None,
    }


def test_oasislmf_api_validate_says_what_is_wrong_with_a_file(
    platform: Running, oasislmf_api: Client, portfolio: int, tmp_path: Path
) -> None:
    # Given a location in a country that is none
    with FILES["location_file"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0]["CountryCode"] = "QQ"
    with (tmp_path / "wrong.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    platform.client.upload(f"v2/portfolios/{portfolio}/location_file/", tmp_path / "wrong.csv")

    said = oasislmf_api("validate", "--portfolio-id", str(portfolio), "--poll-interval", "1")

    assert "status=ERROR" in said
    assert platform.client.get(f"v2/portfolios/{portfolio}/validate/")["location_validated"] is False
    platform.client.download(f"v2/portfolios/{portfolio}/errors_file/", tmp_path / "errors.txt")
    assert "QQ" in (tmp_path / "errors.txt").read_text()


def test_oasislmf_api_exposure_run_downloads_the_losses(oasislmf_api: Client, portfolio: int, tmp_path: Path) -> None:
    losses = []
    for factor in ("1.0", "0.5"):
        asked = ("--loss-factor", factor, "--download", "-o", str(tmp_path), "--poll-interval", "1")
        said = oasislmf_api("exposure-run", "--portfolio-id", str(portfolio), *asked)
        assert "status=RUN_COMPLETED" in said
        with (tmp_path / f"portfolio_{portfolio}_exposure_run.csv").open(newline="") as file:
            losses.append(sum(float(row["loss_gul"]) for row in csv.DictReader(file)))

    assert 0 < losses[0] == pytest.approx(2 * losses[1])


MAPPING = """
transform:
  LocNumber:
    - transformation: PLACE
  BuildingTIV:
    - transformation: VALUE * 2
types:
  PLACE: {type: string}
  VALUE: {type: float}
null_values: []
"""


def test_oasislmf_api_exposure_transform_makes_exposure_of_another_format(
    platform: Running, oasislmf_api: Client, portfolio: int, tmp_path: Path
) -> None:
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    (tmp_path / "air.csv").write_text("PLACE,VALUE\nA1,100\nB2,250\n")
    files = ("--mapping-file", str(tmp_path / "mapping.yaml"), "--transform-file", str(tmp_path / "air.csv"))

    asked = ("--portfolio-id", str(portfolio), "--file-type", "location", "--poll-interval", "1")
    said = oasislmf_api("exposure-transform", *asked, *files)

    assert "status=RUN_COMPLETED" in said
    platform.client.download(f"v2/portfolios/{portfolio}/location_file/", tmp_path / "made.csv")
    with (tmp_path / "made.csv").open(newline="") as file:
        rows = [(row["LocNumber"], float(row["BuildingTIV"])) for row in csv.DictReader(file)]
    assert rows == [("A1", 200), ("B2", 500)]


def test_oasislmf_api_combine_makes_one_set_of_losses_of_two_analyses(
    platform: Running, oasislmf_api: Client, portfolio: int, tmp_path: Path
) -> None:
    # Given two analyses that have losses
    client = platform.client
    settings = {**json.loads(SETTINGS.read_text()), "il_output": False, "ri_output": False}
    settings["gul_summaries"] = [{"id": 1, "oed_fields": [], "ord_output": {"elt_moment": True, "plt_moment": True}}]
    model = client.wait_for_model("OasisLMF", "PiWind", "1", within=60)
    ids = [int(client.post("v2/analyses/", {"name": n, "portfolio": portfolio, "model": model})["id"]) for n in "ab"]
    for each in ids:
        client.post(f"v2/analyses/{each}/settings/", settings)
        client.post(f"v2/analyses/{each}/generate_and_run/")
    for each in ids:
        assert finished(platform, each, within=300)["status"] == "RUN_COMPLETED"
    # When they are combined
    config = {"group_number_of_periods": 1000, "group_mean": True, "group_alt": True, "group_plt": True}
    (tmp_path / "config.json").write_text(json.dumps(config))
    chosen = ("--analysis-ids", *map(str, ids), "--combine-settings-json", str(tmp_path / "config.json"))
    oasislmf_api("combine", *chosen)
    # Then a third one has the losses of both
    (combined,) = [each for each in client.get("v2/analyses/") if each["name"] == "combine-analysis"]
    ended = finished(platform, int(combined["id"]), within=120)
    assert ended["status"] == "RUN_COMPLETED", ended
    client.download(f"v2/analyses/{combined['id']}/output_file/", tmp_path / "combined.tar.gz")
    with tarfile.open(tmp_path / "combined.tar.gz") as archive:
        names = archive.getnames()
    assert any("gplt" in name for name in names), names


def finished(platform: Running, pk: int, within: float) -> dict[str, Any]:
    """The analysis once nothing is under way any more, or what it is at the deadline."""
    deadline = time.monotonic() + within
    while True:
        analysis: dict[str, Any] = platform.client.get(f"v2/analyses/{pk}/")
        over = analysis["status"].endswith(("COMPLETED", "ERROR", "CANCELLED"))
        if over or time.monotonic() > deadline:
            return analysis
        time.sleep(0.5)
