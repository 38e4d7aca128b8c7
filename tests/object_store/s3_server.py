"""A real S3 server for tests: a private Ceph cluster of one monitor, one object daemon in memory and its S3 gateway.

Mock servers accept wrong keys or stop at 1,000 objects, so that nothing about rights or listings could be tested on
them. Needs the Debian packages of `PACKAGES`. Runs as the `ceph` user (or `nobody`) where the tests run as root,
listens on 127.0.0.1 only, and ends with the process that started it, even if that one is killed.

By hand: `python -m tests.object_store.s3_server` prints the variables of the server that it runs until Ctrl-C.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen
from uuid import uuid4

PACKAGES = ("ceph-mon", "ceph-osd", "radosgw")
_PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin", "setpriv")
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_ATTEMPTS = 3


@dataclass(frozen=True)
class S3Server:
    """Where a server is, and a user of it who may create buckets."""

    endpoint_url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)


class S3ServerError(Exception):
    """The S3 server for the tests did not start."""


def missing_programs() -> list[str]:
    """What has to be installed (`PACKAGES`) before a server can run here; empty if all is there."""
    return [program for program in _PROGRAMS if shutil.which(program) is None]


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server for the block."""
    with s3_cluster() as cluster:
        yield cluster.server


@contextmanager
def s3_cluster() -> Iterator["S3Cluster"]:
    """The same, to be broken. Another process may take one of its ports first; then it tries other ports."""
    with ExitStack() as stack:
        yield _start(stack)


def _start(stack: ExitStack) -> "S3Cluster":
    for attempt in range(1, _ATTEMPTS + 1):
        cluster = S3Cluster(Path(tempfile.mkdtemp(prefix="s3-")))
        try:
            cluster.start()
        except (S3ServerError, subprocess.SubprocessError) as error:
            logs = cluster.logs()
            cluster.stop()
            if attempt == _ATTEMPTS:
                raise S3ServerError(f"{error}\n{logs}") from error
        else:
            stack.callback(cluster.stop)
            return cluster
    raise AssertionError("unreachable")


class S3Cluster:
    """The daemons of one cluster, their directory and their configuration."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.monitor_port = _free_port()
        self.s3_port = _free_port()
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.keyring = directory / "keyring"
        self.configuration = directory / "ceph.conf"
        self.cluster_id = str(uuid4())
        url = f"http://127.0.0.1:{self.s3_port}"
        self.server = S3Server(url, secrets.token_hex(10), secrets.token_hex(20))

    def start(self) -> None:
        """Raises S3ServerError."""
        self._prepare()
        self._daemon("ceph-mon", "-i", "a")
        osd_id = str(uuid4())
        self._ceph("ceph", "osd", "create", osd_id)
        self._ceph("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_id)
        self._daemon("ceph-osd", "-i", "0")
        self._create_user(self.server)
        self._start_gateway()

    @property
    def answers(self) -> bool:
        """Whether its gateway runs."""
        return self.daemons[-1].poll() is None

    def kill_gateway(self) -> None:
        """SIGKILL of what speaks S3; the objects stay."""
        self.daemons[-1].kill()
        self.daemons[-1].wait()

    def restart_gateway(self) -> None:
        """After it has been killed; returns when it answers. Raises S3ServerError."""
        self.daemons.pop()
        self._start_gateway()

    def _start_gateway(self) -> None:
        self._daemon("radosgw", "-n", "client.gateway")
        self._wait_until_it_answers(self.server.endpoint_url)

    def stop(self) -> None:
        """Gateway first, so that it can say good-bye to the others; what does not end in time is killed."""
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.directory)

    def logs(self) -> str:
        """The last lines of every log."""
        tails = {log.name: log.read_text(errors="replace")[-2000:] for log in sorted(self.directory.glob("*.log"))}
        return "\n".join(f"--- {name}\n{tail}" for name, tail in tails.items())

    def _prepare(self) -> None:
        for name in ("mon", "osd", "gateway", "run"):
            (self.directory / name).mkdir()
        self.configuration.write_text(self._configuration())
        user = _user()
        if user:
            for path in (self.directory, *self.directory.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
        self._create_keys()
        monitor_map = str(self.directory / "monmap")
        address = f"[v1:127.0.0.1:{self.monitor_port}]"
        self._run("monmaptool", "--create", "--fsid", self.cluster_id, "--addv", "a", address, monitor_map)
        self._ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", monitor_map, "--keyring", str(self.keyring))

    def _configuration(self) -> str:
        home = self.directory
        return f"""
[global]
fsid = {self.cluster_id}
mon host = v1:127.0.0.1:{self.monitor_port}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = {self.keyring}
run dir = {home}/run
admin socket = {home}/run/$name.asok
log file = {home}/$name.log
log to stderr = false
auth allow insecure global id reclaim = false
mon data = {home}/mon
mon data avail warn = 1
mon data avail crit = 0
mon allow pool size one = true
paxos propose interval = 0.05
paxos min wait = 0.01
osd data = {home}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
[client.gateway]
rgw frontends = beast endpoint=127.0.0.1:{self.s3_port}
rgw data = {home}/gateway
rgw run sync thread = false
rgw dynamic resharding = false
rgw override bucket index max shards = 1
"""

    def _create_keys(self) -> None:
        rights = {
            "mon.": ("mon", "allow *"),
            "client.admin": ("mon", "allow *", "osd", "allow *"),
            "client.gateway": ("mon", "allow rw", "osd", "allow rwx"),
            "osd.0": ("mon", "allow profile osd", "osd", "allow *"),
        }
        self._run("ceph-authtool", "--create-keyring", str(self.keyring))
        for name, pairs in rights.items():
            caps = [word for who, what in zip(pairs[::2], pairs[1::2], strict=True) for word in ("--cap", who, what)]
            self._run("ceph-authtool", str(self.keyring), "--gen-key", "-n", name, *caps)

    def _create_user(self, server: S3Server) -> None:
        keys = (f"--access-key={server.access_key_id}", f"--secret-key={server.secret_access_key}")
        user = ("--uid=tests", "--display-name=tests", *keys)
        self._ceph("radosgw-admin", "-n", "client.gateway", "user", "create", *user)

    def _daemon(self, program: str, *arguments: str) -> None:
        command = [*_as_user(), program, "-c", str(self.configuration), "-f", *arguments]
        with (self.directory / f"{program}.out.log").open("wb") as output:
            self.daemons.append(subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True))

    def _ceph(self, program: str, *arguments: str) -> None:
        self._run(program, "-c", str(self.configuration), *arguments)

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            [*_as_user(), *command], capture_output=True, text=True, timeout=_START_SECONDS, check=False
        )
        if done.returncode:
            raise S3ServerError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")

    def _wait_until_it_answers(self, url: str) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            ended = [daemon.args for daemon in self.daemons if daemon.poll() is not None]
            if ended:
                raise S3ServerError(f"a daemon ended: {ended}")
            if _answers(url):
                return
            time.sleep(0.05)
        raise S3ServerError(f"{url} does not answer")


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1):  # noqa: S310
            return True
    except HTTPError as error:
        error.close()
        return True
    except (URLError, OSError):
        return False


def _user() -> pwd.struct_passwd | None:
    """Whom the daemons run as: the caller, unless that is root."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("ceph") or known["nobody"]


def _as_user() -> Sequence[str]:
    user = _user()
    change = ("--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups") if user else ()
    return ("setpriv", "--pdeathsig", "KILL", *change)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), s3_server() as running:
        print(f"LOSSLINE_TEST_S3_ENDPOINT={running.endpoint_url}")  # noqa: T201
        print(f"LOSSLINE_TEST_S3_ACCESS_KEY_ID={running.access_key_id}")  # noqa: T201
        print(f"LOSSLINE_TEST_S3_SECRET_ACCESS_KEY={running.secret_access_key}", flush=True)  # noqa: T201
        signal.pause()


if __name__ == "__main__":
    _main()
