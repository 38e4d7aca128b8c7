"""A Docker Swarm for tests: the engine that answers is its manager, a second host a network namespace of this machine.

The hosts meet on a link of their own, as if it were the network of a machine room. It can be cut.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.compose.engine import docker, not_here
from tests.compose.runs import eventually

MANAGER, SECOND = "10.212.0.1", "10.212.0.2"
_NAMESPACE = "lossline-second"
_HERE, _THERE = "lossline-a", "lossline-b"
"""The two ends of the link."""
_POOL = "10.213.0.0/16"
"""Networks of the Swarm are made of it."""
_GATE = "docker_gwbridge"
_START_WITHIN = 60
_LEAVE_WITHIN = 90


@contextmanager
def swarm_manager() -> Iterator[None]:
    """The engine as the manager of a Swarm, while inside: the one that it is in already, else one for the tests.

    A host that falls silent is given up after some seconds, where the Swarm is the tests'.
    """
    state, address = docker("info", "--format", "{{.Swarm.LocalNodeState}} {{.Swarm.NodeAddr}}").stdout.split(" ")
    if state == "active" and address.strip() == MANAGER:  # of tests that were killed
        eventually(_has_left, "the engine leaves the Swarm", _LEAVE_WITHIN)
    elif state == "active":
        yield
        return
    with _link() as address:
        quick = ("--dispatcher-heartbeat", "1s", "--default-addr-pool", _POOL)
        docker("swarm", "init", "--advertise-addr", address, "--listen-addr", f"{address}:2377", *quick)
        try:
            yield
        finally:
            eventually(_has_left, "the engine leaves the Swarm", _LEAVE_WITHIN)
            docker("network", "rm", _GATE, check=False)


def _has_left() -> bool:
    """The engine gives up where containers take long to stop, and may be told again."""
    docker("swarm", "leave", "--force", check=False)
    return docker("info", "--format", "{{.Swarm.LocalNodeState}}").stdout.strip() == "inactive"


@contextmanager
def _link() -> Iterator[str]:
    """This machine's address of a link with the second host; where none can be made, one that leads nowhere."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("nsenter") is None:
        yield "127.0.0.1"
        return
    _ip("netns", "delete", _NAMESPACE, check=False)
    _ip("netns", "add", _NAMESPACE)
    try:
        _ip("link", "add", _HERE, "type", "veth", "peer", "name", _THERE, "netns", _NAMESPACE)
        _ip("address", "add", f"{MANAGER}/24", "dev", _HERE)
        _ip("link", "set", _HERE, "up")
        _ip("-netns", _NAMESPACE, "address", "add", f"{SECOND}/24", "dev", _THERE)
        _ip("-netns", _NAMESPACE, "link", "set", "lo", "up")
        _ip("-netns", _NAMESPACE, "link", "set", _THERE, "up")
        yield MANAGER
    finally:
        _ip("netns", "delete", _NAMESPACE)
        _ip("link", "delete", _HERE, check=False)


@dataclass(frozen=True)
class Host:
    """The second host of the Swarm. `folder`: all that its engine keeps."""

    folder: Path

    def docker(self, *arguments: str) -> str:
        """What a command of its engine prints."""
        return docker("--host", f"unix://{self.folder}/docker.sock", *arguments).stdout

    def take_images(self, images: Sequence[str]) -> None:
        """Have images that the other host has; what they share is taken once."""
        pipe = f'docker save {" ".join(images)} | docker --host "unix://{self.folder}/docker.sock" load --quiet'
        subprocess.run(["bash", "-o", "pipefail", "-c", pipe], check=True, capture_output=True, timeout=300)

    def cut_off(self) -> None:
        """Cut the link: everything here goes on, and reaches nobody."""
        _ip("-netns", _NAMESPACE, "link", "set", _THERE, "down")


@contextmanager
def second_host(folder: Path) -> Iterator[Host]:
    """A second engine, in the Swarm as a worker; in the end it is killed with all that it has started."""
    if docker("info", "--format", "{{.Swarm.NodeAddr}}").stdout.strip() != MANAGER:
        not_here("a second host needs root, ip and nsenter, and an engine that is in no Swarm")
    host = Host(folder)
    names = ("data-root", "exec-root", "pidfile")
    places = [text for name in names for text in (f"--{name}", str(folder / name))]
    command = [
        "nsenter",
        f"--net=/run/netns/{_NAMESPACE}",
        "dockerd",
        *places,
        "--host",
        f"unix://{folder}/docker.sock",
    ]
    with (folder / "log").open("w") as log:
        engine = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        eventually(lambda: _answers(host), "the second engine answers", _START_WITHIN)
        token = docker("swarm", "join-token", "--quiet", "worker").stdout.strip()
        host.docker("swarm", "join", "--advertise-addr", SECOND, "--token", token, f"{MANAGER}:2377")
        yield host
    finally:
        _kill_all_of(folder)
        engine.wait(30)
        _unmount_all_of(folder)


def _answers(host: Host) -> bool:
    socket = f"unix://{host.folder}/docker.sock"
    return docker("--host", socket, "version", check=False).returncode == 0


def _kill_all_of(folder: Path) -> None:
    """The engine, what supervises its containers, and these."""
    ours = [process for process in psutil.process_iter() if str(folder) in " ".join(_command(process))]
    everything = {child for process in ours for child in _family(process)}
    for process in everything:
        process.kill()
    psutil.wait_procs(list(everything), 30)


def _unmount_all_of(folder: Path) -> None:
    """What the engine could not unmount any more."""
    places = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for place in sorted((each for each in places if each.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=True, timeout=30)


def _command(process: psutil.Process) -> Sequence[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return ()


def _family(process: psutil.Process) -> Sequence[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return ()


def _ip(*arguments: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert not check or done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
