"""Compiling is done once, by whichever command comes first."""

import stat
import sys
import threading
from pathlib import Path

import pytest

from services.embedded import kernels


@pytest.fixture
def counting_warmup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `oasislmf` that takes a moment and leaves a line in a file; returns the file."""
    programs, counted = tmp_path / "programs", tmp_path / "counted"
    programs.mkdir()
    program = programs / "oasislmf"
    program.write_text(f"#!/bin/sh\nsleep 0.5\necho compiled >> {counted}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    return counted


def test_two_commands_that_start_together_compile_once(tmp_path: Path, counting_warmup: Path) -> None:
    told: list[bool] = []
    commands = [threading.Thread(target=lambda: told.append(compile_into(tmp_path / "cache"))) for _ in range(3)]

    for command in commands:
        command.start()
    for command in commands:
        command.join()

    assert counting_warmup.read_text() == "compiled\n"
    assert sorted(told) == [False, False, True]


def test_what_is_compiled_is_not_compiled_again(tmp_path: Path, counting_warmup: Path) -> None:
    assert [compile_into(tmp_path / "cache") for _ in range(2)] == [True, False]
    assert counting_warmup.read_text() == "compiled\n"


def compile_into(cache: Path) -> bool:
    return kernels.compile_kernels(cache, lambda _: None)
