"""The health port of a service: health, readiness, figures."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from socket import socket

import pytest

from shared.metrics import CONTENT_TYPE, Counter, Metric
from shared.service import CannotListen, serve_health

SEEN = Counter(Metric("lossline_seen_total", "What was seen."))


class Port:
    """What answers, and what is wrong with it."""

    def __init__(self) -> None:
        self.number = 0
        self.problem: str | None = None

    def get(self, path: str) -> tuple[int, str, str]:
        try:
            answer = urllib.request.urlopen(f"http://127.0.0.1:{self.number}{path}", timeout=10)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()


@pytest.fixture
def port(free_port: int) -> Iterator[Port]:
    made = Port()
    with serve_health(free_port, lambda: made.problem, figures=(SEEN,)) as made.number:
        yield made


@pytest.fixture
def free_port() -> int:
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_port_that_somebody_has_is_named_with_what_to_do():
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        says = rf"Health cannot be served at 127\.0\.0\.1:{port} \(Address already in use\): choose another HEALTH_PORT"
        with pytest.raises(CannotListen, match=says), serve_health(port, lambda: None):
            pass


def test_figures_are_served_beside_health(port: Port):
    SEEN.add()

    status, content_type, text = port.get("/metrics")

    assert (status, content_type) == (200, CONTENT_TYPE)
    assert {"lossline_ready 1.0", "lossline_seen_total 1.0"} <= set(text.splitlines())


def test_a_service_that_is_not_ready_says_so_in_both_ways(port: Port):
    port.problem = "no consumer"

    assert port.get("/readyz")[0] == 503
    assert "lossline_ready 0.0\n" in port.get("/metrics")[2]
