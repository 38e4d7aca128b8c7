"""What a private RabbitMQ node is told: its identity, its configuration file and its environment."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Identity:
    """The name and the only user of a node. Both are written into its data at the first boot, so they are kept."""

    node: str
    user: str
    password: str

    def url(self, port: int) -> str:
        """The AMQP URL of the default virtual host."""
        return f"amqp://{self.user}:{self.password}@127.0.0.1:{port}/%2F"


def identity_of(folder: Path) -> Identity:
    """The identity kept in a data folder; a new random one in an empty folder."""
    path = folder / "identity.json"
    if path.exists():
        return Identity(**json.loads(path.read_text()))
    identity = Identity(f"lossline-{secrets.token_hex(4)}", "lossline", secrets.token_urlsafe(24))
    write_private(path, json.dumps(asdict(identity)))
    return identity


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner reads."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    new.replace(path)


def configuration(identity: Identity, port: int, extra: str = "") -> str:
    """rabbitmq.conf: one listener on the loopback, one user. The consumer timeout stays the broker's default."""
    lines = [
        f"listeners.tcp.1 = 127.0.0.1:{port}",
        "loopback_users = none",
        f"default_user = {identity.user}",
        f"default_pass = {identity.password}",
        "vm_memory_high_watermark.relative = 0.2",
        extra,
    ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class NodePorts:
    """The three ports of a node, all on the loopback."""

    amqp: int
    distribution: int
    epmd: int


def environment(base: Mapping[str, str], folder: Path, identity: Identity, ports: NodePorts) -> dict[str, str]:
    """The node's whole environment: nothing of /etc/rabbitmq, and of the caller's only what names programs.

    RUNNING_UNDER_SYSTEMD makes the start script `exec` the Erlang machine, so that our child *is* the broker: the
    kernel's death signal reaches it. NOTIFY_SOCKET is left out, or the broker would speak to systemd itself.
    """
    # One scheduler doubles the boot time; more than four only cost memory here.
    schedulers = max(2, min(4, os.cpu_count() or 2))
    return {
        "PATH": f"{base.get('PATH', '')}:{_USUAL_PATH}".lstrip(":"),
        "LANG": "C.UTF-8",
        "HOME": str(folder / "home"),
        "RUNNING_UNDER_SYSTEMD": "true",
        "ERL_EPMD_PORT": str(ports.epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_CRASH_DUMP_SECONDS": "0",
        "RABBITMQ_NODENAME": f"{identity.node}@localhost",
        "RABBITMQ_DIST_PORT": str(ports.distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONF_ENV_FILE": str(folder / "etc" / "rabbitmq-env.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "etc" / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(folder / "etc" / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "etc" / "advanced.config"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "etc" / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "-kernel inet_dist_use_interface {127,0,0,1} "
            f"+S {schedulers}:{schedulers} +sbwt none +sbwtdcpu none +sbwtdio none"
        ),
    }


def write_files(folder: Path, identity: Identity, port: int, extra: str) -> None:
    """The node's folders and configuration files, written anew at every start."""
    for name in ("home", "data", "log", "etc", "etc/conf.d"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "etc" / "rabbitmq.conf", configuration(identity, port, extra))
    write_private(folder / "etc" / "enabled_plugins", "[].\n")
    write_private(folder / "etc" / "rabbitmq-env.conf", "")
