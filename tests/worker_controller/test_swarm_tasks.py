"""What a Swarm says of a worker's service and task, as a member of the fleet."""

from __future__ import annotations

from typing import Any

import pytest

from services.worker_controller.fleet import Ended
from services.worker_controller.models_file import ModelEntry
from services.worker_controller.swarm_service import LONGEST_NAME, service_name, service_of
from services.worker_controller.swarm_tasks import KILLED, how_it_ended, member_of, out_of_memory

BORN, NOW = "1970-01-01T00:01:40.123456789Z", 160.0
NO_ROOM = "no suitable node (insufficient resources on 2 nodes)"


def service(replicas: int = 1, **labels: str) -> dict[str, Any]:
    named = {"lossline.fleet": "ours", "lossline.name": "one", "lossline.queue": "S-M-1-v2", **labels}
    return {"CreatedAt": BORN, "Spec": {"Labels": named, "Mode": {"Replicated": {"Replicas": replicas}}}}


def task(state: str, code: int | None = None, said: str = "", node: str = "", limit: int = 0) -> dict[str, Any]:
    status: dict[str, Any] = {"State": state, "Timestamp": "1970-01-01T00:02:30Z", "Err": said}
    if code is not None:
        status["ContainerStatus"] = {"ContainerID": "c", "ExitCode": code}
    resources = {"Resources": {"Limits": {"MemoryBytes": limit}}} if limit else {}
    return {"CreatedAt": BORN, "Status": status, "NodeID": node, "Spec": resources}


def test_a_service_that_has_no_task_yet_is_a_young_member() -> None:
    member = member_of(service(), [], {}, NOW)
    assert (member.name, member.queue, member.ended) == ("one", "S-M-1-v2", None)
    assert member.age == pytest.approx(59.88, abs=0.01)


def test_a_task_without_host_says_why_and_is_not_late() -> None:
    member = member_of(service(), [task("pending", said=NO_ROOM)], {}, NOW)
    assert (member.waiting, member.age, member.ended) == (NO_ROOM, 0.0, None)
    # A worker that was waited for has as long to serve as any other, once it runs
    assert member_of(service(), [task("running", node="a")], {}, NOW).age == 10.0


def test_a_worker_ends_with_its_host() -> None:
    running = [task("running", node="b")]
    assert member_of(service(), running, {"a": "alpha"}, NOW).ended is None
    end = member_of(service(), running, {"b": "beta"}, NOW).ended
    assert end == Ended(None, None, "its host beta was lost")
    # What has ended before keeps its own reason
    end = member_of(service(), [task("failed", 2, node="b")], {"b": "beta"}, NOW).ended
    assert end is not None
    assert end.exit_status == 2


def test_what_was_told_to_have_no_task_has_ended_when_it_has_none() -> None:
    assert member_of(service(0), [task("running")], {}, NOW).ended is None
    stopped = member_of(service(0), [], {}, NOW).ended
    killed = member_of(service(0, **{KILLED: "yes"}), [], {}, NOW).ended
    # One that never had a host is shown for a moment, without an exit status
    assert member_of(service(0, **{KILLED: "yes"}), [task("shutdown")], {}, NOW).ended == killed
    assert stopped is not None
    assert killed is not None
    assert (stopped.in_order, killed.in_order, killed.signal) == (True, False, 9)


@pytest.mark.parametrize(
    ("said", "status", "signal", "says"),
    [
        (task("complete", 0), 0, None, "exit status 0"),
        (task("shutdown", 0), 0, None, "exit status 0"),
        (task("failed", 3), 3, None, "exit status 3"),
        (task("failed", 137), None, 9, "killed by signal 9"),
        (task("rejected", said="No such image: nobody/has-this:1"), 127, None, "never started: No such image"),
        (task("failed", 0, "starting container failed"), 127, None, "never started: starting container failed"),
        (task("failed", -1, "no such file"), 127, None, "never started: no such file"),
        (task("orphaned", 0), None, None, "its host was lost"),
    ],
)
def test_how_a_task_ended_is_read_from_its_status(
    said: dict[str, Any], status: int | None, signal: int | None, says: str
) -> None:
    end = how_it_ended(said)
    assert (end.exit_status, end.signal) == (status, signal)
    assert says in end.reason


def test_a_limit_of_memory_explains_a_kill_that_nobody_has_explained() -> None:
    killed = task("failed", 137, limit=64_000_000)
    end = how_it_ended(killed)
    assert out_of_memory(end, killed, known=True).reason.startswith("out of memory")
    assert "perhaps out of memory: its limit is 64000000 bytes" in out_of_memory(end, killed, known=False).reason
    assert out_of_memory(end, task("failed", 137), known=False) == end
    assert out_of_memory(Ended(3, None, "exit status 3"), killed, known=False).reason == "exit status 3"


def test_a_name_of_any_length_is_a_name_in_a_swarm() -> None:
    assert service_name("OasisLMF-PiWind-1.0_b-v2-0123456789ab") == "OasisLMF-PiWind-1-0-b-v2-0123456789ab"
    long = service_name("." * 9 + "x" * 80 + "-0123456789ab")
    assert len(long) <= LONGEST_NAME
    assert long.endswith("x-0123456789ab")
    assert service_name("a" + "." * 70 + "b") == "a-b"


def test_a_service_is_one_task_that_is_never_started_again_and_never_judged() -> None:
    model = ModelEntry("S", "M", "1", image="worker", volumes=("/srv/m:/model:ro", "cache:/c"), cpus=1.5, memory="2g")
    made = service_of("one", model, "ours", {"A": "b"}, [], 45.0)
    template = made["task_template"]
    container = template["ContainerSpec"]
    assert made["mode"] == {"replicated": {"Replicas": 1}}
    assert template["RestartPolicy"]["Condition"] == "none"
    assert container["Healthcheck"]["Test"] == ["NONE"]
    assert (container["StopGracePeriod"], container["CapabilityDrop"], container["ReadOnly"]) == (
        45 * 10**9,
        ["ALL"],
        True,
    )
    mounts = [(each["Type"], each["Source"], each["Target"], each["ReadOnly"]) for each in container["Mounts"]]
    assert mounts == [
        ("bind", "/srv/m", "/model", True),
        ("volume", "cache", "/c", False),
        ("tmpfs", None, "/tmp", False),
    ]
    wanted = {"NanoCPUs": 1_500_000_000, "MemoryBytes": 2 * 1024**3}
    assert template["Resources"] == {"Limits": wanted, "Reservations": wanted}


def test_a_task_reserves_gpus_and_runs_where_the_model_may() -> None:
    entry = ModelEntry("S", "M", "1", image="i", gpus=2, placement=("node.labels.disk == ssd",))
    template = service_of("one", entry, "n", {}, [], 45.0)["task_template"]
    (gpus,) = template["Resources"]["Reservations"]["GenericResources"]
    assert gpus == {"DiscreteResourceSpec": {"Kind": "NVIDIA-GPU", "Value": 2}}
    assert template["Placement"]["Constraints"] == ["node.labels.disk == ssd"]
