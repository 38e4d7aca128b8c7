"""The models, portfolios and undivided commands that kernels are measured with."""

import filecmp
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.coastwind.build import build
from services.model_worker.model_place import find_model_place
from services.model_worker.step_contract import InputFile, ModelPlace

EXPOSURES = {
    "location_file": ("-x", "Loc"),
    "accounts_file": ("-y", "Acc"),
    "reinsurance_info_file": ("-i", "ReinsInfo"),
    "reinsurance_scope_file": ("-s", "ReinsScope"),
}


@dataclass(frozen=True)
class Case:
    """A model with a portfolio."""

    name: str
    model: Path
    identity: tuple[str, str, str]
    exposure: dict[str, Path]

    @property
    def settings(self) -> Path:
        """The analysis settings that come with the model."""
        return self.model / "analysis_settings.json"

    @property
    def place(self) -> ModelPlace:
        """As a worker knows it."""
        supplier, model, version = self.identity
        return find_model_place(
            {
                "OASIS_MODEL_SUPPLIER_ID": supplier,
                "OASIS_MODEL_ID": model,
                "OASIS_MODEL_VERSION_ID": version,
                "OASIS_MODEL_DATA_DIRECTORY": str(self.model),
            }
        )

    @property
    def files(self) -> dict[str, InputFile]:
        """What a run is requested with."""
        paths = self.exposure | {"settings_file": self.settings}
        return {name: InputFile(path, path.name) for name, path in paths.items()}


def piwind(directory: Path, locations: int) -> Case:
    """PiWind with 10 locations, or with all 12,598."""
    exposure = directory / "exposure"
    names = {"Loc": "10" if locations == 10 else "", "Acc": "", "ReinsInfo": "", "ReinsScope": ""}
    suffixed = {name: exposure / f"Source{stem}OEDPiWind{names[stem]}.csv" for name, (_, stem) in EXPOSURES.items()}
    return Case(f"PiWind, {locations} locations", directory, ("OasisLMF", "PiWind", "1"), suffixed)


def coastwind(folder: Path) -> Case:
    """The example model, built into `folder`."""
    model = folder / "coastwind"
    build(model)
    found = {name: model / "exposure" / file for name, file in _EXAMPLE_FILES.items()}
    return Case("example model", model, ("Lossline", "CoastWind", "1"), found)


_EXAMPLE_FILES = {
    "location_file": "location.csv",
    "accounts_file": "account.csv",
    "reinsurance_info_file": "ri_info.csv",
    "reinsurance_scope_file": "ri_scope.csv",
}


def generate_inputs(case: Case, run: Path, environ: dict[str, str]) -> float:
    """`oasislmf model generate-oasis-files`; seconds.

    The files in `run` are made once more, with the lookup in one process: several write the keys as they come, so that
    items have other numbers in every run, and losses other last digits (docs/decisions/0029).
    """
    files = [text for name, path in case.exposure.items() for text in (EXPOSURES[name][0], str(path))]
    seconds = _oasislmf("generate-oasis-files", case, run.with_name(f"{run.name}-as-they-come"), files, environ)
    _oasislmf("generate-oasis-files", case, run, [*files, "--lookup-multiprocessing", "False"], environ)
    return seconds


def generate_losses(case: Case, run: Path, processes: int, environ: dict[str, str]) -> float:
    """`oasislmf model generate-losses` in the run directory of `generate_inputs`; seconds."""
    return _oasislmf("generate-losses", case, run, ["-a", str(case.settings), "-n", str(processes)], environ)


def _oasislmf(verb: str, case: Case, run: Path, options: Sequence[str], environ: dict[str, str]) -> float:
    command = [str(Path(sys.executable).with_name("oasislmf")), "model", verb]
    command += ["-C", str(case.place.config_path), "-o", str(run / "input"), *options]
    command += ["-r", str(run)] if verb == "generate-losses" else []
    began = time.monotonic()
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def second_demo(folder: Path) -> float:
    """Seconds of `lossline demo` where it has been run before."""
    home = folder / "demo-home"
    home.mkdir()
    folder.chmod(0o711)  # the database server's own account passes through it
    home.chmod(0o711)
    command = [str(Path(sys.executable).with_name("lossline")), "demo", "--out", str(folder / "demo-out")]
    for _ in range(2):
        began = time.monotonic()
        subprocess.run(command, env={**os.environ, "LOSSLINE_HOME": str(home)}, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - began
    return seconds


def copy_of_run(run: Path, target: Path) -> Path:
    """A run directory without what passes through it; its script removes the tables of the earlier run itself."""
    return Path(shutil.copytree(run, target, symlinks=True, ignore=_passing))


def _passing(directory: str, names: list[str]) -> list[str]:
    return names if Path(directory).name in {"fifo", "work", "log"} else []


def different_tables(left: Path, right: Path) -> list[str]:
    """Names of output files that are not the same bytes in two run directories."""
    names = sorted({path.name for run in (left, right) for path in (run / "output").iterdir() if path.is_file()})
    _, unequal, missing = filecmp.cmpfiles(left / "output", right / "output", names, shallow=False)
    return [*unequal, *missing]
