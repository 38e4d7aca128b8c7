"""The steps of the losses with hooks, and with a kernel that fails; a minute each.

That chunks give the bytes of the undivided command is tested through the whole platform, in tests/endtoend.
"""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from services.model_worker.step_contract import InputFile
from services.model_worker.steps.errors import ModelFailedError

pytestmark = [pytest.mark.endtoend, pytest.mark.timeout(1200)]


def extracted(file: InputFile, target: Path) -> Path:
    shutil.unpack_archive(file.path, target, "gztar")
    return target


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


POST_ANALYSIS = """
import pathlib


class PostAnalysis:
    def __init__(self, model_run_dir, settings, **_):
        self.output, self.settings = pathlib.Path(model_run_dir) / "output", settings

    def run(self):
        (self.output / "after.txt").write_text(str(self.settings["number_of_samples"]))
"""

PRE_LOSS = """
import pathlib


class PreLoss:
    def __init__(self, input_dir, **_):
        self.input_dir = pathlib.Path(input_dir)

    def run(self):
        (self.input_dir / "before.txt").write_text(str((self.input_dir / "gulmc_structure").exists()))
"""

SMALL_SETTINGS = {
    "model_supplier_id": "OasisLMF",
    "model_name_id": "PiWind",
    "model_settings": {"event_set": "p", "event_occurrence_id": "lt"},
    "gul_output": True,
    "gul_summaries": [{"id": 1, "ord_output": {"elt_moment": True}}],
    "ri_output": True,
    "ri_summaries": [{"id": 1, "ord_output": {"elt_moment": True}}],
}


@pytest.fixture
def small_run(start_run, piwind: Path, tmp_path: Path):
    """Ground-up losses only, although the settings ask for reinsurance; a model with hooks; a data file."""
    model = tmp_path / "model"
    model.mkdir()
    for part in ("keys_data", "model_data", "meta-data"):
        (model / part).symlink_to(piwind / part)
    hooks = {"pre_loss_module": PRE_LOSS, "post_analysis_module": POST_ANALYSIS}
    for name, source in hooks.items():
        (model / f"{name}.py").write_text(source)
    config = json.loads((piwind / "oasislmf.json").read_text()) | {name: f"{name}.py" for name in hooks}
    (model / "oasislmf.json").write_text(json.dumps(config))
    (tmp_path / "settings.json").write_text(json.dumps(SMALL_SETTINGS))
    (tmp_path / "extra.txt").write_text("of the user")
    run = start_run(model, settings_file=tmp_path / "settings.json")
    for name in ("accounts_file", "reinsurance_info_file", "reinsurance_scope_file"):
        del run.files[name]
    run.data_files = (InputFile(tmp_path / "extra.txt", "extra.txt"),)
    run.inputs(1)
    return run


def test_hooks_of_the_losses_run_and_missing_perspectives_are_left_out(small_run, tmp_path: Path) -> None:
    small_run.losses(2)

    output = extracted(small_run.files["output_location"], tmp_path / "out") / "output"
    prepared = extracted(small_run.files["run_location"], tmp_path / "run")
    assert (output / "after.txt").read_text() == "10"
    assert (prepared / "input" / "before.txt").read_text() == "False", "the hook comes before the structures"
    assert {path.name for path in output.glob("*.csv")} == {"gul_S1_melt.csv", "gul_S1_summary-info.csv"}
    assert not any(path.is_symlink() for path in (prepared / "static").iterdir())
    (tree,) = [path for path in (tmp_path / "worker-0" / "trees").iterdir() if path.is_dir()]
    assert contents(tree) == contents(prepared), "no kernel and no hook has written to what attempts share"


def test_a_failing_kernel_leaves_its_logs(small_run, tmp_path: Path) -> None:
    small_run.serial("prepare-losses-generation-params")
    small_run.serial("prepare-losses-generation-directory")
    prepared = extracted(small_run.files["run_location"], tmp_path / "run")
    (prepared / "input" / "events.bin").write_bytes(b"")
    (prepared / "input" / "gulmc_structure" / "items.npy").write_bytes(b"broken")
    with tarfile.open(small_run.files["run_location"].path, "w:gz") as tar:
        tar.add(prepared, arcname=".")

    with pytest.raises(ModelFailedError, match="loss kernel failed") as failure:
        small_run.parallel("generate-losses-chunk", 2)

    assert failure.value.artifacts["chunk_log_location"].name == "log-1.tar.gz"
