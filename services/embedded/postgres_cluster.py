"""The files of a PostgreSQL cluster: made once, cleared of what a crash left, and the options it runs with."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

import psutil

from services.embedded.child import Account
from services.embedded.errors import EmbeddedError, FolderInUse
from services.embedded.postgres_programs import Programs, give, run_as

# sun_path has 108 bytes with its final zero; PostgreSQL adds "/.s.PGSQL.5432.lock".
_LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.5432")

_COMMON = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",
    "random_page_cost": "1.1",
    # One server without replicas: the log need not serve any.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "log_line_prefix": "%m [%p] ",
}
# Commits stay synchronous: without fsync that costs next to nothing, and a killed server then still loses nothing.
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


def options(version: int, socket_folder: Path, *, durable: bool) -> list[str]:
    """Arguments of `postgres`. They hold for one start: a cluster is durable again when it is next asked to be."""
    chosen = _COMMON | {"unix_socket_directories": str(socket_folder)} | ({} if durable else _NOT_DURABLE)
    if version >= 18:
        chosen["io_method"] = "sync"  # three processes fewer on a small machine
    return [argument for name, value in chosen.items() for argument in ("-c", f"{name}={value}")]


def make_cluster(programs: Programs, folder: Path, owner: Account | None, *, durable: bool) -> Path:
    """The cluster's folder; `initdb` works beside it, so that a half-made one is never taken for a cluster."""
    data = folder / "data"
    if data.exists():
        return data
    half = folder / "data.new"
    shutil.rmtree(half, ignore_errors=True)
    give(half, owner)
    # Trust is enough: the socket's folder belongs to the account alone, and there is no other way in.
    command = [programs.path("initdb"), "-D", str(half), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
    try:
        run_as(owner, [*command, "--no-locale", "--no-instructions", *([] if durable else ["--no-sync"])])
    except subprocess.CalledProcessError as error:
        raise EmbeddedError(f"PostgreSQL could not make a cluster in {data}: {error.stderr.strip()}") from error
    half.rename(data)
    return data


def clear_stale_pid(data: Path) -> None:
    """Remove a crashed server's postmaster.pid when its number is nobody's, or another program's by now.

    PostgreSQL itself refuses to start when any process of the account has that number. To be called under the
    folder's lock, which every server of ours holds to its end: what still runs here was started by someone else.
    """
    marker = data / "postmaster.pid"
    if not marker.exists():
        return
    first = marker.read_text().partition("\n")[0]
    if first.isdigit() and _serves(int(first), data):
        raise FolderInUse(data, f"process {first}")
    marker.unlink()


def _serves(pid: int, data: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.name() == "postgres" and Path(process.cwd()) == data
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def socket_folder(folder: Path, owner: Account | None) -> Path:
    """Where the socket is: beside the data, or a short private folder when that path is too long for a socket."""
    beside = folder / "socket"
    if len(os.fsencode(beside)) <= _LONGEST_SOCKET_FOLDER - len(".lock"):
        return give(beside, owner)
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"lossline-{os.geteuid()}-{digest}"
    if short.is_symlink() or short.exists():
        _refuse_foreign(short, owner)
    return give(short, owner)


def _refuse_foreign(short: Path, owner: Account | None) -> None:
    """A folder in /tmp may have been laid there by anybody."""
    found = short.lstat()
    ours = {os.geteuid()} | ({owner.uid} if owner else set())
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours:
        raise EmbeddedError(f"{short}, which PostgreSQL's socket needs, belongs to someone else; remove it.")
