"""Which tests share a process where several run at a time, and which begin: `pytest -n 2 -p tests.distribution`.

A file stays in one process, for its fixtures, and so does a folder whose files share a platform. What takes longest
comes first, so that no process ends long after the others.
"""

from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]
WHOLE = ("tests/endtoend/", "tests/faults/platform/")
"""Folders whose files share a platform. They also compile the kernels that others find."""
LONG = (
    "tests/faults/protocol/test_protocol.py",
    "tests/worker_controller/test_scaled_platform.py",
    "tests/warm/test_real_programs.py",
    "tests/broker/test_outages.py",
    "tests/model_worker/test_cut_off.py",
    "tests/steps/",
    "tests/benchmarks/",
    "tests/warm/",
    "tests/model_worker/",
    "tests/embedded/",
)
"""What takes long for the number of its tests, in this order."""
APART = ("tests/faults/platform/test_s3_server.py", "tests/faults/platform/test_full_disk.py")
"""Files with platforms of their own, before that of their folder is started."""
_ORDER = (WHOLE[0], *APART, WHOLE[1], *LONG)


class ByPlatform(LoadScopeScheduling):
    """Hands out whole files, and whole folders of those that share a platform."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((folder for folder in WHOLE if file.startswith(folder)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByPlatform:
    """In place of those that come with xdist, whose groups need names that pytest 9.2 does not let it give."""
    config.option.loadscopereorder = False
    return ByPlatform(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In every process alike, for they agree on the tests by their order."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    path = item.path.relative_to(ROOT).as_posix()
    return next((rank for rank, start in enumerate(_ORDER) if path.startswith(start)), len(_ORDER))
