"""A warm process with threads, files or log handlers of its imports is not served from: programs start plain."""

import json

import pytest

from services.model_worker.processes import ChildSpec, ForkServer


@pytest.mark.parametrize(
    ("preload", "parent"),
    [("leave_thread", "bash"), ("leave_file", "bash"), ("leave_handler", "bash"), ("leave_nothing", "lossline-progs")],
)
async def test_what_loading_leaves_makes_every_program_start_plain(place, capfd, preload, parent):
    spec_path = place.directory / "spec.json"
    spec_path.write_text(json.dumps("tiny tells_parent; true"))
    entries = ("tiny_entries", f"unfit_programs:{preload}")

    async with ForkServer(entries, base_directory=place.directory, environ=place.environ) as server:
        spec = ChildSpec(spec_path, place.directory, place.environ, entry="tiny_entries:run_script")
        lines = [line.decode() async for line in (await server.start(spec)).lines()]

    assert lines == [parent, "status 0"]
    assert ("goes on without" in capfd.readouterr().err) == (parent == "bash")
