"""Temporary files of an attempt are its own, and go with it."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from services.embedded.rabbitmq import PrivateBroker
from services.model_worker.temporary import temporary_directory, variables
from tests.model_worker.bench import Bench
from tests.model_worker.controller import Controller, Ears
from tests.model_worker.waiting import wait_for


@pytest.fixture
def bench(broker: PrivateBroker) -> Iterator[Bench]:
    """In a folder with a path as short as that of a worker's."""
    folder = Path(tempfile.mkdtemp(prefix="ll-"))
    bench = Bench(folder, broker.url)
    yield bench
    bench.stop()
    shutil.rmtree(folder)


def test_each_attempt_has_its_own_temporary_files_and_none_is_left(bench: Bench, ears: Ears) -> None:
    shown = []
    with Controller(ears, bench.queue) as controller:
        bench.start(1)
        for number in range(2):
            path = bench.flag(f"shown-{number}")
            grant = bench.grant({"show": str(path)})
            controller.offer(grant)
            assert controller.report_of(grant).cause is None
            shown.append(Path(json.loads(path.read_text())["temporary"]))

    assert [each.parent.parent for each in shown] == [bench.place / "tmp"] * 2
    assert shown[0].parent != shown[1].parent
    wait_for(lambda: not (bench.place / "tmp").exists(), "the end of all temporary files")


def test_sockets_of_multiprocessing_find_room_or_the_variable_is_left_alone() -> None:
    worker, attempt = Path("/") / ("w" * 52), uuid4()
    fits = temporary_directory(worker, attempt)
    too_long = temporary_directory(worker / "x", attempt)

    assert len(f"{fits}/pymp-12345678/listener-12345678") <= 107
    assert variables(fits) == {"TMPDIR": str(fits)}
    assert variables(too_long) == {}
