"""What a worker makes of its setting."""

from pathlib import Path

from services.model_worker.__main__ import preload_of, with_warm_programs
from services.model_worker.settings import Settings
from services.model_worker.warm.clients import MONITOR
from services.model_worker.warm.environment import CLIENTS_VARIABLE, LOAD
from services.model_worker.warm.programs import installed_names


def settings(tmp_path: Path, **environ: str) -> Settings:
    (tmp_path / "oasislmf.json").write_text("{}")
    identity = {"OASIS_MODEL_SUPPLIER_ID": "S", "OASIS_MODEL_ID": "M", "OASIS_MODEL_VERSION_ID": "1"}
    return Settings.read(identity | {"OASIS_MODEL_DATA_DIRECTORY": str(tmp_path)} | environ)


def test_a_worker_has_a_client_for_each_program_and_loads_them(tmp_path: Path) -> None:
    warm = with_warm_programs(settings(tmp_path), tmp_path / "worker")

    clients = Path(warm.step_environ[CLIENTS_VARIABLE])
    assert {path.name for path in clients.iterdir()} - {".client"} == {*installed_names(), MONITOR}
    assert preload_of(warm)[0] == LOAD  # what the steps import before, nobody sees looking at variables


def test_a_setting_turns_warm_programs_off(tmp_path: Path) -> None:
    plain = with_warm_programs(settings(tmp_path, OASIS_WORKER_WARM_PROGRAMS="False"), tmp_path / "worker")

    assert CLIENTS_VARIABLE not in plain.step_environ
    assert LOAD not in preload_of(plain)


def test_a_worker_of_other_steps_needs_no_oasislmf(tmp_path: Path) -> None:
    other = with_warm_programs(settings(tmp_path, LOSSLINE_STEPS="benchmarks.noop_steps"), tmp_path / "worker")

    assert LOAD not in preload_of(other)
