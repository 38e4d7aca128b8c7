"""A program's status is known, and its descriptors are closed, before the kernel has freed its memory."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from services.model_worker.warm.last_words import LastWords


@pytest.fixture
def words() -> Iterator[LastWords]:
    """Of this process as the server, which is not killed by what its programs send."""
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    yield LastWords()
    signal.signal(signal.SIGCHLD, before)


def program(words: LastWords, slot: int | None, acts: Callable[[Callable[[int], None]], object]) -> int:
    """A fork that acts and then lives on until it is killed."""
    server = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            acts(words.of_program(slot, server))
            signal.pause()
        finally:
            os._exit(99)
    return pid


def hear(words: LastWords, slot: int | None) -> int:
    deadline = time.monotonic() + 20
    while (status := words.heard(slot)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return status


def end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("status", [0, 1, 255])
def test_a_status_is_heard_and_pipes_end_while_the_program_still_exists(words, status):
    reading, writing = os.pipe()
    slot = words.slot()
    assert words.heard(slot) is None

    pid = program(words, slot, lambda say: say(status))
    os.close(writing)
    end_of_pipe = os.read(reading, 1)
    heard = hear(words, slot)
    still_there = os.waitpid(pid, os.WNOHANG) == (0, 0)
    end(pid)
    os.close(reading)

    assert (end_of_pipe, heard, still_there) == (b"", status, True)


def test_a_slot_is_used_again_and_says_nothing_of_the_program_before(words):
    slot = words.slot()
    pid = program(words, slot, lambda say: say(7))
    hear(words, slot)
    end(pid)

    words.release(slot)

    assert words.slot() == slot
    assert words.heard(slot) is None


def test_more_programs_than_slots_only_end_later(words):
    slots = [words.slot() for _ in range(4097)]

    assert len(set(slots)) == 4097
    assert slots[-1] is None
    assert words.heard(None) is None
    words.release(None)
    assert words.slot() is None
