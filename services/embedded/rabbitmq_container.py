"""RabbitMQ in a container of Docker, for machines that have Docker and no `rabbitmq-server`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from services.embedded.child import log_tail
from services.embedded.errors import StartFailed
from services.embedded.rabbitmq_settings import Identity, write_private

LABEL = "lossline.broker"


def docker_answers() -> bool:
    """Whether there is a Docker client and its server answers."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    ask = [docker, "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(ask, capture_output=True, check=False, timeout=10).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class ContainerNode:
    """One labelled container; its data are a volume that stays, and a guardian removes it when we die."""

    def __init__(self, image: str, folder: Path, log: Path, port: int, identity: Identity, extra_config: str) -> None:
        self._image = image
        self._folder = folder
        self._log = log
        self._port = port
        self._identity = identity
        self._extra_config = extra_config
        self._guardian: subprocess.Popen[bytes] | None = None

    @property
    def name(self) -> str:
        """The container's name; it is the node's."""
        return self._identity.node

    @property
    def pid(self) -> int | None:
        """Process id on this machine (of the container's first process) while it runs."""
        shown = _docker("inspect", "--format", "{{.State.Pid}}", self.name)
        pid = shown.stdout.strip()
        return int(pid) if shown.returncode == 0 and pid != "0" else None

    def start(self, pass_fds: Sequence[int]) -> None:  # noqa: ARG002 - a container holds none of our descriptors
        """Remove what an earlier start left, then run the container; it is not ready yet."""
        _docker("rm", "--force", self.name)
        if self._guardian is None:
            self._guardian = _guard(self.name)
        ran = _docker(*self._run_arguments(), timeout=600)
        if ran.returncode != 0:
            self._append(ran.stderr)
            raise StartFailed("RabbitMQ", f"docker run {self._image} failed", self._log, log_tail(self._log))

    def failure(self) -> str | None:
        """Why the node can no longer become ready; None while it can."""
        if self.pid is not None:
            return None
        logs = _docker("logs", "--tail", "50", self.name)
        self._append(logs.stdout + logs.stderr)
        return "its container ended"

    def stop(self) -> None:
        """Stop and remove the container, then the guardian."""
        _docker("stop", "-t", "30", self.name, timeout=60)
        _docker("rm", "--force", self.name)
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()
            self._guardian.wait(60)
        self._guardian = None

    def kill(self) -> None:
        """SIGKILL to the container."""
        _docker("kill", "--signal", "KILL", self.name)

    def _run_arguments(self) -> list[str]:
        variables = self._folder / "container.env"
        user, password = self._identity.user, self._identity.password
        write_private(variables, f"RABBITMQ_DEFAULT_USER={user}\nRABBITMQ_DEFAULT_PASS={password}\n")
        extra = self._folder / "container.conf"
        # Read by the container's own user; it holds no secret.
        extra.write_text(f"vm_memory_high_watermark.relative = 0.2\n{self._extra_config}\n")
        extra.chmod(0o644)
        return [
            *("run", "--detach", "--name", self.name, "--hostname", self.name, "--label", f"{LABEL}={self.name}"),
            *("--env-file", str(variables), "--publish", f"127.0.0.1:{self._port}:5672"),
            *("--volume", f"{self.name}:/var/lib/rabbitmq"),
            *("--volume", f"{extra}:/etc/rabbitmq/conf.d/50-lossline.conf:ro", self._image),
        ]

    def _append(self, text: str) -> None:
        with self._log.open("a") as stream:
            stream.write(text)


def _guard(name: str) -> subprocess.Popen[bytes]:
    """A shell that waits for the end of our pipe, which the kernel closes however we die, and removes the container."""
    script = 'cat >/dev/null; exec docker rm --force "$1" >/dev/null 2>&1'
    return subprocess.Popen(["sh", "-c", script, "sh", name], stdin=subprocess.PIPE, start_new_session=True)


def _docker(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    return subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False, timeout=timeout)
