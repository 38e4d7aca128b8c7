"""What shares a process, and what comes first, is there."""

import pytest

from tests.distribution import APART, LONG, ROOT, WHOLE, ByPlatform


@pytest.mark.parametrize("path", [*WHOLE, *APART, *LONG])
def test_what_is_named_is_there(path: str) -> None:
    assert (ROOT / path).exists()
    assert path.endswith("/") == (ROOT / path).is_dir()


@pytest.mark.parametrize(
    ("test", "shared"),
    [
        ("tests/api/test_runs.py::test_a[b::c]", "tests/api/test_runs.py"),
        ("tests/endtoend/test_demo.py::test_a", "tests/endtoend/"),
        ("tests/faults/platform/test_points.py::test_a", "tests/faults/platform/"),
        ("tests/faults/protocol/test_protocol.py::test_a", "tests/faults/protocol/test_protocol.py"),
    ],
)
def test_files_stay_whole_and_so_do_folders_that_share_a_platform(test: str, shared: str) -> None:
    scheduler = ByPlatform.__new__(ByPlatform)
    assert scheduler._split_scope(test) == shared
