"""A worker as a Swarm tells of it: its service, the service's one task, and the hosts that are lost. Pure.

A service that was told to have no task any more has been stopped; its task goes soon after it has ended, and how it
ended goes with it. So that is told as what it was told to do: its labels say whether that was a kill.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from signal import SIGKILL
from typing import Any

from services.worker_controller.docker_fleet import NAME, QUEUE
from services.worker_controller.fleet import Ended, Member

KILLED = "lossline.killed"
"""Label of a service whose worker was not asked to stop, but killed."""

_ENDED = frozenset({"complete", "shutdown", "failed", "rejected", "orphaned", "remove"})
_WITHOUT_HOST = frozenset({"new", "allocated", "pending"})
_NEVER_STARTED = 127
_BY_SIGNAL = 128


def member_of(
    service: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], lost: Mapping[str, str], now: float
) -> Member:
    """What the fleet says of a service. `lost`: names of the hosts that are lost, by their ids; `now`: a Unix time."""
    labels, born = service["Spec"]["Labels"], _seconds(service["CreatedAt"])
    member = Member(str(labels[NAME]), str(labels[QUEUE]), max(0.0, now - born))
    task = first_task(tasks) if tasks else None
    state = "" if task is None else task["Status"]["State"]
    if is_to_end(service) and (task is None or state in _ENDED):
        return replace(member, ended=_on_request(labels))
    if task is None:
        return member
    if state in _ENDED:
        return replace(member, ended=how_it_ended(task))
    if (host := lost.get(task.get("NodeID", ""))) is not None:
        return replace(member, ended=Ended(None, None, f"its host {host} was lost"))
    if state in _WITHOUT_HOST:
        # It has not been started yet, and is not late.
        return replace(member, age=0.0, waiting=str(task["Status"].get("Err", "")))
    return replace(member, age=max(0.0, now - _seconds(task["Status"]["Timestamp"])))


def first_task(tasks: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The worker's; there are no others, unless somebody has changed the service."""
    return min(tasks, key=lambda task: str(task["CreatedAt"]))


def how_it_ended(task: Mapping[str, Any]) -> Ended:
    """The end of a task from its status."""
    status, said = task["Status"], str(task["Status"].get("Err", ""))
    code = int(status.get("ContainerStatus", {}).get("ExitCode", 0))
    if status["State"] == "orphaned":
        return Ended(None, None, "its host was lost, and is no longer one of the Swarm")
    if code < 0 or (not code and status["State"] in ("failed", "rejected")):
        return Ended(_NEVER_STARTED, None, f"it was never started: {said or 'no reason is known'}")
    if code > _BY_SIGNAL:
        return Ended(None, code - _BY_SIGNAL, f"killed by signal {code - _BY_SIGNAL}")
    return Ended(code, None, f"exit status {code}; see the log of its service")


def out_of_memory(end: Ended, task: Mapping[str, Any], *, known: bool) -> Ended:
    """An end that the limit of memory has caused, where that is `known`, or may have."""
    limit = task["Spec"].get("Resources", {}).get("Limits", {}).get("MemoryBytes")
    if known:
        return replace(end, reason=f"out of memory: the container reached its limit ({end.reason})")
    if end.signal == SIGKILL and limit:
        return replace(end, reason=f"{end.reason}, perhaps out of memory: its limit is {limit} bytes")
    return end


def is_to_end(service: Mapping[str, Any]) -> bool:
    """Whether it was told to have no task any more."""
    return bool(service["Spec"]["Mode"]["Replicated"].get("Replicas") == 0)


def _on_request(labels: Mapping[str, str]) -> Ended:
    if KILLED in labels:
        return Ended(None, SIGKILL, "killed by its controller")
    return Ended(0, None, "it was told to stop")


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
