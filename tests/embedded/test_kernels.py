"""Compiling is done once, by whichever command comes first."""

import stat
import sys
import threading
from pathlib import Path

import pytest

from services.embedded import kernels


@pytest.fixture
def counting_warmup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `oasislmf` that takes a moment, and a Python; each leaves a line in a file, which is returned."""
    programs, counted = tmp_path / "programs", tmp_path / "counted"
    programs.mkdir()
    for name, acts in {"oasislmf": "sleep 0.5; echo $1", "python": 'echo "$2 in $NUMBA_CACHE_DIR"'}.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\n({acts}) >> {counted}\n")
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

    assert counting_warmup.read_text() == once(tmp_path / "cache")
    assert sorted(told) == [False, False, True]


def test_what_is_compiled_is_not_compiled_again(tmp_path: Path, counting_warmup: Path) -> None:
    assert [compile_into(tmp_path / "cache") for _ in range(2)] == [True, False]
    assert counting_warmup.read_text() == once(tmp_path / "cache")


def test_a_sample_that_does_not_run_is_told_and_run_again_by_the_next_command(
    tmp_path: Path, counting_warmup: Path
) -> None:
    python, cache = Path(sys.executable), tmp_path / "cache"
    works = python.read_text()
    python.write_text("#!/bin/sh\necho no room; exit 3\n")

    with pytest.raises(kernels.WarmupFailed, match=r"sample.* ended with status 3"):
        compile_into(cache)
    told = (cache / "warmup.log").read_text()
    python.write_text(works)

    assert told == "no room\n"
    assert compile_into(cache)
    assert list(cache.glob(".sample-*")) == []


def once(cache: Path) -> str:
    """What is left by doing it once."""
    modules = ("examples.coastwind.sample", "services.model_worker.priming")
    return "warmup\n" + "".join(f"{module} in {cache}\n" for module in modules)


def compile_into(cache: Path) -> bool:
    return kernels.compile_kernels(cache, lambda _: None)
