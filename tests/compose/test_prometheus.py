"""What the profile `prometheus` scrapes and tells of, checked by Prometheus's own tool."""

from __future__ import annotations

import pytest

from tests.compose.engine import CHECKOUT, docker, have_images
from tests.compose.stack import OTHERS, PYTHON

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def promtool(engine: None) -> list[str]:
    """The beginning of its command, in a container that has our files."""
    have_images({"python": PYTHON, "prometheus": OTHERS["prometheus"]})
    mounts = {CHECKOUT / "compose" / "prometheus": "/etc/prometheus", CHECKOUT / "tests" / "compose": "/tests"}
    volumes = [text for here, there in mounts.items() for text in ("--volume", f"{here}:{there}:ro")]
    return ["run", "--rm", "--network", "none", *volumes, "--entrypoint", "promtool", OTHERS["prometheus"]]


def test_the_configuration_and_its_rules_are_good(promtool: list[str]) -> None:
    docker(*promtool, "check", "config", "/etc/prometheus/prometheus.yml")


def test_an_operator_is_told_of_what_he_must_know_and_of_nothing_else(promtool: list[str]) -> None:
    docker(*promtool, "test", "rules", "/tests/alerts.yml")
