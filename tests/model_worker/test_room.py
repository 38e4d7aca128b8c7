"""When a worker takes no work because its disk is full."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from services.model_worker.attempt import meaning_of
from services.model_worker.room import LEAST, has_room
from shared.core.retries import Cause

GIB = 1 << 30


class Usage(NamedTuple):
    """As `shutil.disk_usage` answers."""

    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("total", "free", "enough"),
    [(100 * GIB, LEAST, True), (100 * GIB, LEAST - 1, False), (10 << 20, 1 << 20, True), (10 << 20, 1 << 18, False)],
)
def test_room_is_a_fixed_number_of_bytes_or_a_part_of_a_small_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, total: int, free: int, enough: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(total, total - free, free))

    assert has_room(tmp_path) is enough


def test_a_full_disk_is_no_error_of_the_model() -> None:
    assert meaning_of(OSError(28, "No space left on device"))[0] is Cause.STORAGE
    assert meaning_of(OSError(13, "Permission denied"))[0] is Cause.MODEL_ERROR
