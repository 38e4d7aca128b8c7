import json
import tarfile
from pathlib import Path

import pytest

from services.model_worker.steps import run_directory
from services.model_worker.steps.loss_chunk import divide
from services.model_worker.steps.loss_output import output_options, process_count


@pytest.fixture
def model(tmp_path: Path) -> Path:
    data = tmp_path / "model"
    data.mkdir()
    for name in ("footprint.bin", "footprint_b.bin", "events.bin", ".hidden"):
        (data / name).write_text(f"model {name}")
    return data


def prepared(tmp_path: Path, model: Path) -> Path:
    """A run directory as oasislmf leaves it: absolute links everywhere, one footprint set chosen."""
    run = tmp_path / "here" / "run"
    for name in ("input", "static", "fifo", "output"):
        (run / name).mkdir(parents=True)
    (run / "input" / "raw_location.csv").write_text("big")
    (run / "input" / "location.parquet").write_text("rows")
    (run / "static" / "footprint_b.bin").symlink_to(model / "footprint_b.bin")
    (run / "static" / "events.bin").symlink_to(model / "events.bin")
    (run / "static" / "footprint.bin").symlink_to(run / "static" / "footprint_b.bin")
    return run


def test_model_data_is_linked_where_it_is_and_never_travels(tmp_path: Path, model: Path) -> None:
    archive = run_directory.pack(prepared(tmp_path, model), tmp_path / "run_directory.tar.gz")
    elsewhere = model.rename(tmp_path / "model-of-another-worker")
    data = tmp_path / "user-data"
    data.mkdir()
    (data / "events.bin").write_text("user events")

    params = {"model_data_dir": str(elsewhere), "user_data_dir": str(data)}
    run = run_directory.unpack(archive, tmp_path / "there", params)

    with tarfile.open(archive) as tar:
        links = {member.name: member.linkname for member in tar if member.issym()}
    assert links == {"static/footprint.bin": "footprint_b.bin"}
    assert (run / "static" / "footprint.bin").read_text() == "model footprint_b.bin", "the chosen set stays chosen"
    assert (run / "static" / "footprint_b.bin").readlink() == elsewhere / "footprint_b.bin"
    assert (run / "static" / "events.bin").read_text() == "user events", "the user's file goes before the model's"
    assert sorted(path.name for path in (run / "static").iterdir()) == [
        "events.bin",
        "footprint.bin",
        "footprint_b.bin",
    ]


def test_copies_of_the_upload_do_not_travel_to_every_chunk(tmp_path: Path, model: Path) -> None:
    archive = run_directory.pack(prepared(tmp_path, model), tmp_path / "run_directory.tar.gz")

    run = run_directory.unpack(archive, tmp_path / "there", {"model_data_dir": str(model)})

    assert [path.name for path in (run / "input").iterdir()] == ["location.parquet"]
    assert all((run / name).is_dir() for name in ("fifo", "work", "log"))


def test_model_data_in_a_storage_of_its_own_is_not_linked(tmp_path: Path, model: Path) -> None:
    (tmp_path / "run").mkdir()
    params = {"model_data_dir": str(model), "model_storage_json": "storage.json"}
    run_directory.link_data(tmp_path / "run", params)

    assert list((tmp_path / "run" / "static").iterdir()) == []


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("/other/site-packages/ods_tools/data/OpenExposureData_4.0.0Spec.json", "4.0.0"),
        ("/other/own-schema.json", "/other/own-schema.json"),
        ("v3.0.0", "v3.0.0"),
        (None, None),
    ],
)
def test_an_exposure_schema_of_another_machine_is_named_by_its_version(
    tmp_path: Path, schema: str | None, expected: str | None
) -> None:
    path = tmp_path / "exposure_info.json"
    path.write_text(json.dumps({"location": {}, "oed_schema_info": schema}))

    run_directory.localise_exposure(tmp_path)

    assert json.loads(path.read_text()) == {"location": {}, "oed_schema_info": expected}


def test_inputs_without_exposure_information_are_left_alone(tmp_path: Path) -> None:
    run_directory.localise_exposure(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("chunk", "chunks", "cores", "expected"),
    [(0, 1, -1, (None, -1)), (0, 1, 4, (None, 4)), (0, 3, -1, (1, 3)), (2, 3, 4, (3, 3))],
)
def test_a_single_chunk_uses_all_cores_and_others_one(
    chunk: int, chunks: int, cores: int, expected: tuple[int | None, int]
) -> None:
    assert tuple(divide(chunk, chunks, cores).values()) == expected


def test_the_tables_are_made_of_all_the_processes_that_the_only_chunk_ran_on_another_worker(tmp_path: Path) -> None:
    (tmp_path / "kat").mkdir()
    (tmp_path / "gul_S1_summaryleccalc").mkdir()
    for process in range(1, 13):
        (tmp_path / "kat" / f"gul_S1_plt_sample_P{process}").touch()
        (tmp_path / "gul_S1_summaryleccalc" / f"P{process}.bin").touch()

    assert process_count(tmp_path, 1) == 12
    assert process_count(tmp_path, 5) == 5


def test_the_output_script_heeds_the_options_of_the_undivided_command() -> None:
    assert output_options({}) == {"kat_sort_by_event": True, "join_summary_info": False}
    assert output_options({"kernel_event_shuffle": 2, "join_summary_info": True}) == {
        "kat_sort_by_event": False,
        "join_summary_info": True,
    }
