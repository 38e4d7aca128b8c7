"""The platform on two hosts of a Docker Swarm, one of which is lost in the middle of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docker as docker_client
import pytest

from benchmarks.kernel_models import Case
from benchmarks.same_outputs import differences
from services.embedded.client import ApiClient
from services.embedded.demo import fetch_outputs
from tests.compose.runs import CHUNKS, attempts_of, ended, eventually, model_of, requested, status_of
from tests.compose.stack import Stack
from tests.compose.swarm import Host
from tests.compose.swarm_stack import ON_EVERY_HOST, PROJECT, WORKERS, swarm_logs

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def hosts_of_workers() -> dict[str, str]:
    """Ids of hosts by the names of the workers on them."""
    engine = docker_client.from_env()
    try:
        ours = {"label": f"lossline.fleet={PROJECT}"}
        names = {each["ID"]: each["Spec"]["Labels"]["lossline.name"] for each in engine.api.services(filters=ours)}
        tasks = engine.api.tasks(filters=ours)
    finally:
        engine.close()
    return {names[each["ServiceID"]]: each.get("NodeID", "") for each in tasks if each["ServiceID"] in names}


def hosts_of(service: str) -> set[str]:
    """Ids of the hosts on which replicas of one of the platform's services run."""
    engine = docker_client.from_env()
    try:
        running = {"service": f"{PROJECT}_{service}", "desired-state": "running"}
        tasks = engine.api.tasks(filters=running)
    finally:
        engine.close()
    return {each["NodeID"] for each in tasks if each["Status"]["State"] == "running"}


def at_work(client: ApiClient) -> dict[str, str]:
    """Ids of hosts by the ids of the workers that have something to do."""
    hosts = hosts_of_workers()
    rows = [row for row in client.get("v2/workers/") if row["free_slots"] < row["slots"]]
    return {row["worker_id"]: hosts[row["fleet_name"]] for row in rows if row["fleet_name"] in hosts}


def chunks_of(client: ApiClient, analysis: int) -> list[Any]:
    """All attempts of the run's chunks of losses."""
    attempts = attempts_of(client, analysis)
    return [each for slug, of_one in attempts.items() if slug.startswith("generate-losses-chunk") for each in of_one]


def test_a_run_uses_both_hosts_and_ends_when_one_of_them_is_lost(
    many_hosts: Stack, other_host: Host, example: Case, undisturbed: Path, tmp_path: Path
) -> None:
    client = many_hosts.client
    model = model_of(client, example)
    scaling = {"scaling_strategy": "FIXED_WORKERS", "worker_count_fixed": WORKERS, "worker_count_min": 0}
    client.post(f"v2/models/{model}/scaling_configuration/", scaling)
    # Given services on two hosts
    assert {service: len(hosts_of(service)) for service in ON_EVERY_HOST} == dict.fromkeys(ON_EVERY_HOST, 2)
    # And a run whose chunks are computed on two hosts
    analysis, hosts = requested(client, example, 2 * CHUNKS), dict[str, str]()

    def both_are_at_it() -> bool:
        hosts.update(at_work(client))
        return len(set(hosts.values())) == 2 and status_of(client, analysis) == "RUN_STARTED"

    eventually(both_are_at_it, "chunks run on both hosts", 120)
    # When one is lost
    other_host.cut_off()
    # Then the run ends well, with the outputs of one that nothing has disturbed
    assert ended(client, analysis) == "RUN_COMPLETED", swarm_logs()
    assert differences(fetch_outputs(client, analysis, tmp_path), undisturbed, exactly=False) == []
    chunks = chunks_of(client, analysis)
    assert {hosts[each["worker"]] for each in chunks if each["worker"] in hosts} == set(hosts.values())
    # And what was under way there was given to others, for one of these reasons, whichever is noticed first
    lost = [each["message"] for each in chunks if each["state"] == "lost"]
    assert lost, chunks
    assert all("the worker died: its host" in said or "its worker was silent" in said for said in lost), lost
