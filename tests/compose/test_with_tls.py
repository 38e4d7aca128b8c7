"""The platform as `make up TLS=1` starts it. It takes the place of the one without TLS, used before."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from benchmarks.kernel_models import Case
from tests.compose.engine import docker
from tests.compose.queue_status import told
from tests.compose.runs import eventually, model_of
from tests.compose.stack import Stack
from tests.endtoend.conftest import PROGRAMS

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]

ANOTHER = "/etc/ssl/certs/ca-certificates.crt"
"""Authorities that have not signed the certificates of the platform."""
WITHOUT_TLS = """
import pathlib, psycopg
password = pathlib.Path("/run/secrets/database_password").read_text()
psycopg.connect(host="database", user="lossline", dbname="lossline", password=password, sslmode="disable")
"""


@pytest.fixture(scope="module")
def over_tls(stack: Stack) -> Iterator[Stack]:
    """Once nobody works: a worker knows it from its start only, and would no longer find the broker.

    It is taken down at once, for the machine has enough to do with a Swarm.
    """
    eventually(lambda: not stack.workers(), "the workers leave", 90)
    secured = stack.over_tls()
    try:
        secured.make("up")
        yield secured
    except AssertionError:
        print(secured.logs())  # noqa: T201 - shown with the failure
        raise
    finally:
        secured.take_down()


def test_the_published_client_runs_the_example_model_over_tls(over_tls: Stack, example: Case, tmp_path: Path) -> None:
    model = model_of(over_tls.client, example)
    (tmp_path / "login.json").write_text(json.dumps({"username": "admin", "password": "password"}))
    command = [str(PROGRAMS / "oasislmf"), "api", "run", "--server-url", over_tls.url, "--server-version", "v2"]
    command += ["--server-login-json", str(tmp_path / "login.json"), "--model-id", str(model), "-o", str(tmp_path)]
    command += ["-x", str(example.exposure["location_file"]), "-a", str(example.settings)]
    trusting = os.environ | {"REQUESTS_CA_BUNDLE": str(over_tls.authorities)}
    done = subprocess.run(command, cwd=tmp_path, env=trusting, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr + over_tls.logs()
    assert list(tmp_path.glob("analysis_*_output.tar.gz"))


def test_queues_are_told_of_at_both_ports_and_one_of_two_servers_may_stop(over_tls: Stack) -> None:
    over_tls.compose("up", "--detach", "--no-recreate", "--wait", "--scale", "websocket=2", "websocket")
    places = [f"wss://127.0.0.1:{over_tls.environ[name]}" for name in ("LOSSLINE_PORT", "LOSSLINE_WEBSOCKET_PORT")]
    for container in over_tls.containers("websocket"):
        docker("stop", container)
        for place in places:
            eventually(partial(told, over_tls.url, place, over_tls.authorities), f"{place} leads to the other", 60)
        docker("start", container)
        eventually(lambda: over_tls.is_healthy("worker_controller"), "it hears the queue status", 60)


def test_nothing_is_said_without_tls(over_tls: Stack) -> None:
    for variable in ("LOSSLINE_PORT", "LOSSLINE_WEBSOCKET_PORT"):
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{over_tls.environ[variable]}/healthcheck/", timeout=20)
    assert [published(over_tls, service) for service in ("api", "websocket")] == [[], []]
    monitor = over_tls.container("worker_monitor")
    refused = docker("exec", monitor, "python", "-c", WITHOUT_TLS, check=False)
    assert "no encryption" in refused.stderr
    connecting = "import socket; socket.create_connection(('rabbitmq', 5672), 3)"
    assert "refused" in docker("exec", monitor, "python", "-c", connecting, check=False).stderr


def published(stack: Stack, service: str) -> list[str]:
    """The ports of a service's containers that this machine leads to."""
    found = json.loads(docker("inspect", *stack.containers(service)).stdout)
    return [port for each in found for port, places in each["NetworkSettings"]["Ports"].items() if places]


@pytest.mark.parametrize(
    ("command", "variable", "sentence"),
    [
        (["task_controller"], "OASIS_CELERY_BROKER_SSL_CA_CERTS", "The broker's certificate is not trusted"),
        (["api"], "OASIS_SERVER_DB_SSL_CA_CERTS", "certificate verify failed"),
        (["operations", "lossline", "doctor"], "OASIS_AWS_S3_VERIFY", "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_servers_that_others_have_signed_are_refused(
    over_tls: Stack, command: list[str], variable: str, sentence: str
) -> None:
    done = over_tls.compose("run", "--rm", "--no-deps", "--env", f"{variable}={ANOTHER}", *command, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert sentence in done.stdout + done.stderr


def test_the_doctor_finds_nothing_wrong_over_tls(over_tls: Stack) -> None:
    done = over_tls.compose("--profile", "operations", "run", "--rm", "operations", "lossline", "doctor", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_links_lead_back_over_tls_and_figures_stay_within(over_tls: Stack) -> None:
    answer = requests.get(f"{over_tls.url}metrics", verify=over_tls.authorities, timeout=60)
    assert answer.status_code == 404
    portfolio = over_tls.client.post("v2/portfolios/", {"name": "linked"})
    links = [value for value in portfolio.values() if str(value).startswith("http")]
    assert {urlsplit(link)[:2] for link in links} == {urlsplit(over_tls.url)[:2]}
