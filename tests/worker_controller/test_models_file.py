"""The file of models: what it gives, and what is said of one that cannot be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from services.worker_controller.abilities import beyond
from services.worker_controller.errors import BadModelsFile
from services.worker_controller.models_file import ModelEntry, read_models_file
from services.worker_controller.placing import generic_resources

COMPOSE = Path(__file__).resolve().parents[2] / "compose"

WHOLE = """
models:
  - supplier: OasisLMF
    model: PiWind
    version: "1"
    slots: 4
    directory: /models/PiWind
    command: [worker, --fast]
    environment: {LIMIT: 4, OASIS_RABBIT_PASS: }
    cpus: 1.5
  - {supplier: OasisLMF, model: PiWind, version: "1", run_mode: V1}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    return path


def test_models_are_found_by_the_queue_that_their_workers_serve(tmp_path: Path) -> None:
    models = read_models_file(written(tmp_path, WHOLE), {})
    assert set(models) == {"OasisLMF-PiWind-1-v2", "OasisLMF-PiWind-1"}
    entry = models["OasisLMF-PiWind-1-v2"]
    assert (entry.slots, entry.command, entry.cpus) == (4, ("worker", "--fast"), 1.5)


def test_workers_get_who_they_are_and_what_the_file_says(tmp_path: Path) -> None:
    entry = read_models_file(written(tmp_path, WHOLE), {})["OasisLMF-PiWind-1-v2"]
    assert entry.variables({"OASIS_RABBIT_PASS": "secret", "OTHER": "no"}) == {
        "OASIS_MODEL_SUPPLIER_ID": "OasisLMF",
        "OASIS_MODEL_ID": "PiWind",
        "OASIS_MODEL_VERSION_ID": "1",
        "OASIS_RUN_MODE": "v2",
        "OASIS_CELERY_CONCURRENCY": "4",
        "OASIS_MODEL_DATA_DIRECTORY": "/models/PiWind",
        "LIMIT": "4",
        "OASIS_RABBIT_PASS": "secret",
    }
    assert "OASIS_RABBIT_PASS" not in entry.variables({})
    assert "hush" not in repr(ModelEntry("S", "M", "1", environment={"KEY": "hush"}))


def test_texts_may_name_variables_of_the_controller(tmp_path: Path) -> None:
    text = """
models:
  - supplier: S
    model: M
    version: "1"
    image: ${REGISTRY:-lossline}/worker:${TAG}
    volumes: ["${PLACE}/secret:/run/secrets/rabbit:ro"]
    networks: [work, "${EMPTY:-licences}"]
    environment: {MIXED: "a-${TAG}", LITERAL: "$${TAG} $TAG", NUMBER: 4}
"""
    environ = {"TAG": "1.0", "PLACE": "/srv", "EMPTY": ""}
    entry = read_models_file(written(tmp_path, text), environ)["S-M-1-v2"]
    assert (entry.image, entry.volumes) == ("lossline/worker:1.0", ("/srv/secret:/run/secrets/rabbit:ro",))
    assert entry.networks == ("work", "licences")
    assert entry.environment == {"MIXED": "a-1.0", "LITERAL": "${TAG} $TAG", "NUMBER": "4"}


def test_secrets_are_files_named_by_their_source_unless_another_name_is_said() -> None:
    model = ModelEntry("S", "M", "1", secrets=("/srv/secrets/s3_key", "platform_rabbit_worker:rabbit_password"))
    assert model.secret_files == {"s3_key": "/srv/secrets/s3_key", "rabbit_password": "platform_rabbit_worker"}


def test_what_an_entry_leaves_out_is_said_by_labels_of_its_image(tmp_path: Path) -> None:
    labels = {"lossline.supplier": "S", "lossline.model": "M", "lossline.version": "1"}
    labels |= {"lossline.slots": "4", "lossline.cpus": "1.5", "other": "x"}
    text = "models: [{image: 'piwind:2', slots: 2}, {image: other, supplier: A, model: B, version: '7'}]"
    models = read_models_file(written(tmp_path, text), {}, lambda image: labels if image == "piwind:2" else {})
    assert set(models) == {"S-M-1-v2", "A-B-7-v2"}
    entry = models["S-M-1-v2"]
    assert (entry.image, entry.slots, entry.cpus) == ("piwind:2", 2, 1.5)


def test_gpus_placement_and_the_time_to_start_are_said_for_each_model(tmp_path: Path) -> None:
    text = """
models:
  - {supplier: S, model: M, version: "1", gpus: all, start_within: 3600}
  - {supplier: S, model: N, version: "1", gpus: 2, placement: [node.labels.disk == ssd, node.role != manager]}
"""
    first, second = read_models_file(written(tmp_path, text), {}).values()
    assert (first.gpus, first.start_within, first.placement) == ("all", 3600, ())
    assert (second.gpus, second.start_within) == (2, None)
    assert second.placement == ("node.labels.disk == ssd", "node.role != manager")
    assert (generic_resources(second.gpus), generic_resources(None)) == ({"NVIDIA-GPU": 2}, {})


def test_gpus_and_the_time_to_start_may_be_said_by_labels(tmp_path: Path) -> None:
    labels = {"lossline.supplier": "S", "lossline.model": "M", "lossline.version": "1"}
    labels |= {"lossline.gpus": "all", "lossline.start_within": "600"}
    models = read_models_file(written(tmp_path, "models: [{image: 'quake:1'}]"), {}, lambda _: labels)
    assert (models["S-M-1-v2"].gpus, models["S-M-1-v2"].start_within) == ("all", 600)


ENTRY = ModelEntry("S", "M", "1")
IN_CONTAINER = replace(ENTRY, image="quake:1")


@pytest.mark.parametrize(
    ("fleet", "entry", "says"),
    [
        ("process", replace(ENTRY, gpus=1), "the fleet 'process' cannot do gpus; leave it out"),
        ("process", replace(IN_CONTAINER, memory="4g"), "the fleet 'process' cannot do image, memory"),
        ("docker", replace(IN_CONTAINER, placement=("node.role == worker",)), "the fleet 'docker' cannot do placement"),
        ("docker", ENTRY, "it has no image, and the fleet 'docker' runs images"),
        ("swarm", replace(IN_CONTAINER, gpus="all"), "a swarm hands out GPUs by number"),
    ],
)
def test_a_fleet_that_cannot_do_what_is_asked_for_says_so(fleet: str, entry: ModelEntry, says: str) -> None:
    (fault,) = beyond(fleet, {entry.queue: entry})
    assert fault.startswith(f"S-M-1-v2: {says}")


def test_a_fleet_that_can_do_what_is_asked_for_has_nothing_to_say() -> None:
    assert beyond("process", {"q": replace(ENTRY, directory="/models", command=("worker",))}) == []
    assert beyond("docker", {"q": replace(IN_CONTAINER, gpus="all", cpus=2.0, volumes=("a:/b",))}) == []
    assert beyond("swarm", {"q": replace(IN_CONTAINER, gpus=1, placement=("node.role == worker",))}) == []


def test_a_label_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "models: [{image: 'piwind:2', supplier: S, model: M, version: '1'}]")
    with pytest.raises(BadModelsFile, match=r"the label lossline\.slots of piwind:2 must be a number, not 'many'"):
        read_models_file(path, {}, lambda _: {"lossline.slots": "many"})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("colour: red", r"model 1: unknown colour; known are supplier, model"),
        ("slots: 0", "slots must be a whole number above 0, not 0"),
        ("slots: true", "slots must be a whole number above 0, not True"),
        ("slots: many", "slots must be a whole number above 0"),
        ("cpus: -1", "cpus must be a number above 0"),
        ("cpus: .inf", "cpus must be a number above 0"),
        ("gpus: some", "gpus must be a whole number above 0, not 'some'"),
        ("gpus: 0", "gpus must be a whole number above 0, not 0"),
        ("placement: node.role == worker", "placement must be a list of texts"),
        ("placement: [disk == ssd]", "'disk == ssd' is no constraint like"),
        ("placement: [node.labels.disk = ssd]", "'node.labels.disk = ssd' is no constraint like"),
        ("start_within: soon", "start_within must be a number above 0, not 'soon'"),
        ("run_mode: v3", "run_mode must be v1 or v2"),
        ("directory: 7", "directory must be a text, not 7; put it in quotes"),
        ("command: worker", "command must be a list of texts"),
        ("networks: lossline-work", "networks must be a list of texts"),
        ("secrets: {a: b}", "secrets must be a list of texts"),
        ("read_only: maybe", "read_only must be true or false, not 'maybe'"),
        ("image: 'worker:${NOWHERE}'", r"\$\{NOWHERE\} has no value; set NOWHERE for the controller"),
        ("environment: [A]", "environment must be a mapping"),
        ("environment: {A: [1]}", "the value of A must be a text"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, line: str, says: str) -> None:
    text = f"models:\n  - supplier: S\n    model: M\n    version: '1'\n    {line}\n"
    with pytest.raises(BadModelsFile, match=says):
        read_models_file(written(tmp_path, text), {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: {", "cannot be read"),
        ("- a", "must hold one key"),
        ("models: []\nmore: 1", "must hold one key"),
        ("models: [1]", "must be a mapping"),
        ("models: [{supplier: S, model: M}]", "version must be given"),
        ("models: [{supplier: S, model: M, version: 1}]", "version must be a text"),
        ("models: [{supplier: S, model: M, version: a}, {supplier: S, model: M, version: a}]", "names a queue twice"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadModelsFile, match=says):
        read_models_file(written(tmp_path, text), {})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadModelsFile, match=r"nowhere\.yaml cannot be read"):
        read_models_file(tmp_path / "nowhere.yaml", {})


@pytest.mark.parametrize(("file", "versions"), [("models.yaml", ["1"]), ("two-models.yaml", ["1", "2"])])
def test_the_files_for_containers_can_be_used_with_and_without_tls(file: str, versions: list[str]) -> None:
    labels = {"lossline.supplier": "Lossline", "lossline.model": "CoastWind", "lossline.version": "1"}
    environ = {"LOSSLINE_VERSION": "latest", "LOSSLINE_NETWORK": "work", "LOSSLINE_SECRET_PREFIX": "/secrets/"}
    trust = {"OASIS_CELERY_BROKER_SSL_CA_CERTS": "/run/secrets/authorities", "OASIS_RABBIT_PORT": "5671"}

    models = read_models_file(COMPOSE / file, environ, lambda _image: labels)

    assert [model.version for model in models.values()] == versions
    for model in models.values():
        assert trust.items() <= model.variables(trust).items()
        assert not trust.keys() & model.variables({}).keys()
        assert model.secret_files["authorities"] == "/secrets/authorities"
