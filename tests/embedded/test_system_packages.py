"""The helper that installs system packages, with programs that record instead of apt's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "system-packages.sh"
NEEDED = ("sh", "sed", "sort", "env", "cat")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The only folder on the PATH; `installed` in it lists the packages that are there, `calls` what was asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    (folder / "installed").write_text("present\n")
    program(folder, "id", "echo 0")
    return folder


def program(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\nhere={folder}\n{body}\n")
    path.chmod(0o755)


def with_apt(folder: Path) -> None:
    query = 'while read -r name; do [ "$name" = "$3" ] && echo installed && exit 0; done <"$here/installed"; exit 1'
    program(folder, "dpkg-query", query)
    program(folder, "apt-get", 'echo "$RUNLEVEL $DEBIAN_FRONTEND apt-get $*" >>"$here/calls"')
    program(folder, "apt-cache", '[ -e "$here/lists" ]')
    program(folder, "dpkg", "echo /lib/systemd/system/absent.service")
    program(folder, "systemctl", 'echo "systemctl $*" >>"$here/calls"')


def run(folder: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *packages], env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


def calls(folder: Path) -> list[str]:
    record = folder / "calls"
    return [line.strip() for line in record.read_text().splitlines()] if record.exists() else []


def test_nothing_happens_when_all_is_present(programs: Path) -> None:
    with_apt(programs)
    done = run(programs, "present")
    assert (done.returncode, done.stdout, done.stderr, calls(programs)) == (0, "", "", [])


def test_only_what_is_missing_is_installed_and_its_services_stay_off(programs: Path) -> None:
    with_apt(programs)
    done = run(programs, "present", "absent")
    assert done.returncode == 0, done.stderr
    assert "Installing with apt-get: absent" in done.stdout
    assert "absent.service of absent is not enabled" in done.stdout
    assert calls(programs) == [
        "apt-get update",
        "1 noninteractive apt-get install --yes --no-install-recommends absent",
        "systemctl disable --now absent.service",
    ]


def test_lists_that_are_there_are_not_fetched_again(programs: Path) -> None:
    with_apt(programs)
    (programs / "lists").touch()
    run(programs, "absent")
    assert "apt-get update" not in calls(programs)


def test_another_system_gets_one_sentence(programs: Path) -> None:
    done = run(programs, "absent")
    assert done.returncode == 1
    assert "no apt-get; install absent with its own package manager" in done.stderr


def test_without_root_and_sudo_it_says_so(programs: Path) -> None:
    with_apt(programs)
    program(programs, "id", "echo 1000")
    done = run(programs, "absent")
    assert done.returncode == 1
    assert "needs root" in done.stderr
    assert calls(programs) == []


@pytest.mark.parametrize("name", ["-o", "a b", "x;y", ""])
def test_a_strange_name_is_refused(programs: Path, name: str) -> None:
    with_apt(programs)
    done = run(programs, name)
    assert done.returncode == 1
    assert "is not the name of a package" in done.stderr
    assert calls(programs) == []
