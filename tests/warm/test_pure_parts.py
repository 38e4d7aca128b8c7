"""Requests, variables and the leash: no process is needed."""

import pytest

from services.model_worker.warm.environment import differing, path_with, without_chosen
from services.model_worker.warm.leash import BEGUN, ENDED, Leash, greeting
from services.model_worker.warm.request import BadRequestError, Request, decode_request, encode_request

REQUEST = Request(
    arguments=(b"evepy", b"", b"1 2", b"\xff"),
    environ={b"A": b"", b"B": b"x=y"},
    targets=(0, 1, 2, 19),
    umask=0o27,
    ignored=frozenset({1, 13, 64}),
    blocked=frozenset(),
)


def test_a_request_comes_out_as_it_went_in() -> None:
    assert decode_request(encode_request(REQUEST)) == REQUEST


@pytest.mark.parametrize("cut", [0, 3, 20, 44, -1])
def test_half_a_request_is_none(cut: int) -> None:
    with pytest.raises(BadRequestError):
        decode_request(encode_request(REQUEST)[:cut])


def test_a_program_is_known_by_its_last_name() -> None:
    assert Request((b"/usr/bin/fmpy",), {}, (), 0, frozenset(), frozenset()).program == "fmpy"


@pytest.mark.parametrize("name", ["PYTHONPATH", "NUMBA_DEBUG", "LD_PRELOAD", "LC_ALL", "TZ", "OASIS_FLOAT"])
def test_a_variable_that_acts_at_import_must_be_the_same(name: str) -> None:
    read = frozenset({"OASIS_FLOAT"})

    assert differing({name: "a"}, {name: "a"}, read) == []
    assert differing({name: "b"}, {name: "a"}, read) == differing({}, {name: "a"}, read) == [name]


def test_other_variables_may_differ() -> None:
    assert differing({"PATH": "/a", "OTHER": "b", "LOSSLINE_WARM": "c"}, {"PATH": "/b"}, frozenset({"PATH"})) == []


def test_what_the_warm_process_was_given_beyond_its_callers_does_not_count() -> None:
    started = without_chosen({"OMP_NUM_THREADS": "1", "HOME": "/"})

    assert started == {"HOME": "/"}
    assert differing({"OMP_NUM_THREADS": "1"}, started, frozenset()) == []
    assert differing({"OMP_NUM_THREADS": "2"}, started, frozenset()) == ["OMP_NUM_THREADS"]


def test_clients_stand_just_before_the_installations_programs() -> None:
    assert path_with("/warm", "/venv", "/a:/venv:/b:/venv") == "/a:/warm:/venv:/b:/venv"
    assert path_with("/warm", "/venv", "/a:/b") == "/a:/b"


@pytest.mark.parametrize(
    ("said", "lost"),
    [(b"", False), (BEGUN, True), (BEGUN + ENDED, False), (BEGUN * 3 + ENDED * 2, True)],
)
def test_an_attempt_is_lost_if_its_server_dies_with_programs_running(said: bytes, lost: bool) -> None:
    leash = Leash()
    for byte in greeting(4711) + said:  # however the pipe cuts it
        leash.feed(bytes([byte]))

    assert (leash.pid, leash.lost) == (4711, False)
    leash.feed(b"")
    assert leash.lost is lost


def test_nothing_is_lost_where_the_guardian_was_told_to_kill() -> None:
    leash = Leash(killed=True)
    leash.feed(greeting(4711) + BEGUN)
    leash.feed(b"")

    assert not leash.lost
