"""What an attempt finds of its inputs."""

from pathlib import Path
from uuid import uuid4

import pytest

from services.model_worker.fetching import fetch
from services.model_worker.objects import ObjectCache
from services.model_worker.settings import Settings
from services.model_worker.step_contract import StepContext
from shared.core.inputs import FileRef
from shared.core.plan import SlotWeight
from shared.messages.catalogue import Grant
from tests.fakes.object_store import MemoryStore

CHUNK = "generate-losses-chunk"


@pytest.fixture
def cache(tmp_path: Path) -> ObjectCache:
    """Over a store in which each object holds its own key."""
    store = MemoryStore()
    for run in ("one", "two"):
        for name in ("run_directory.tar.gz", "params.json", "work-1.tar.gz"):
            (tmp_path / "object").write_text(f"{run}/{name}")
            store.put_file(f"{run}/{name}", tmp_path / "object")
    return ObjectCache(store, tmp_path / "objects")


async def fetched(cache: ObjectCache, directory: Path, run: str, step: str = CHUNK) -> StepContext:
    directory.mkdir()
    files = {"run_location": "run_directory.tar.gz", "params": "params.json"}
    grant = Grant(
        *(uuid4(), 1, 10.0, 1, "c0ffee", 7, 1, step, step, "losses", 0, 2, SlotWeight.ONE, "prefix", "log"),
        files={name: FileRef(f"{run}/{file}", file) for name, file in files.items()},
        chunk_files=({"chunk_work_location": FileRef(f"{run}/work-1.tar.gz", "work-1.tar.gz")},),
    )
    settings = Settings.read({"OASIS_RUN_MODE": "server-internal", "OASIS_BASE_RUN_DIR": str(directory)})
    return await fetch(grant, directory, settings, cache)


async def test_each_file_is_the_object_that_the_grant_names(cache: ObjectCache, tmp_path: Path) -> None:
    context = await fetched(cache, tmp_path / "attempt", "one")

    assert {name: file.path.read_text() for name, file in context.files.items()} == {
        "run_location": "one/run_directory.tar.gz",
        "params": "one/params.json",
    }
    assert [file.path.read_text() for files in context.chunk_files for file in files.values()] == ["one/work-1.tar.gz"]
    assert context.files["run_location"].filename == "run_directory.tar.gz"


async def test_an_object_has_one_name_in_all_attempts_and_no_other_has_it(cache: ObjectCache, tmp_path: Path) -> None:
    """Steps keep what they have extracted by the name of the archive."""
    contexts = [await fetched(cache, tmp_path / f"attempt-{n}", run) for n, run in enumerate(("one", "one", "two"))]

    first, again, other = (context.files["run_location"].path.name for context in contexts)
    assert first == again
    assert first != other
