"""The example model, built once for the tests of this folder."""

import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
if str(CHECKOUT) not in sys.path:  # the examples are not part of the installed distribution
    sys.path.insert(0, str(CHECKOUT))

from examples.coastwind.build import build  # noqa: E402
from examples.coastwind.hazard import Hazard, build_hazard  # noqa: E402


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A freshly built model directory; tests only read it."""
    target = tmp_path_factory.mktemp("coastwind") / "model"
    assert build(target)
    return target


@pytest.fixture(scope="session")
def hazard() -> Hazard:
    """The hazard in memory, the same that the model directory was written from."""
    return build_hazard()
