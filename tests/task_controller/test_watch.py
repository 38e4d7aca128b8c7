"""The reaper's watch, as a pure function of clocks."""

from services.task_controller.reaper import Watch

LEASE, GAP = 10.0, 4.0


def looks(watch: Watch[str], *moments: tuple[float, float, dict[str, int]]) -> list[list[str]]:
    """What is given up at each look: (now, age of the newest canary, renewals by attempt)."""
    return [watch.look(now, age, renewals) for now, age, renewals in moments]


def every_second(start: int, end: int, renewals: int = 1) -> list[tuple[float, float, dict[str, int]]]:
    """Looks in which the attempt "a" stands still and canaries come back."""
    return [(float(second), 1.0, {"a": renewals}) for second in range(start, end)]


def test_an_attempt_that_stands_still_for_a_whole_lease_is_given_up() -> None:
    given_up = looks(Watch(LEASE, GAP), *every_second(0, 11))
    assert given_up == [[]] * 10 + [["a"]]


def test_an_attempt_that_is_renewed_is_never_given_up() -> None:
    moments = [(float(second), 1.0, {"a": second // 9}) for second in range(100)]
    assert not any(looks(Watch(LEASE, GAP), *moments))


def test_a_renewal_starts_the_lease_anew() -> None:
    watch: Watch[str] = Watch(LEASE, GAP)
    assert not any(looks(watch, *every_second(0, 9), *every_second(9, 19, renewals=2)))
    assert looks(watch, *every_second(19, 20, renewals=2)) == [["a"]]


def test_a_gap_between_looks_restarts_the_watch() -> None:
    watch: Watch[str] = Watch(LEASE, GAP)
    assert not any(looks(watch, *every_second(0, 8), *every_second(13, 23)))
    assert looks(watch, *every_second(23, 24)) == [["a"]]


def test_a_missing_canary_restarts_the_watch() -> None:
    watch: Watch[str] = Watch(LEASE, GAP)
    assert not any(looks(watch, *every_second(0, 9), (9.0, 4.5, {"a": 1}), *every_second(10, 19)))
    assert looks(watch, *every_second(19, 20)) == [["a"]]


def test_without_any_canary_nothing_is_ever_given_up() -> None:
    moments = [(float(second), float("inf"), {"a": 1}) for second in range(100)]
    assert not any(looks(Watch(LEASE, GAP), *moments))


def test_a_restart_forgets_everything() -> None:
    watch: Watch[str] = Watch(LEASE, GAP)
    assert not any(looks(watch, *every_second(0, 9)))
    watch.restart()
    assert not any(looks(watch, *every_second(9, 19)))


def test_an_attempt_is_watched_from_its_first_sight() -> None:
    watch: Watch[str] = Watch(LEASE, GAP)
    both = [(float(second), 1.0, {"a": 1, "b": 1}) for second in range(6, 10)]
    assert not any(looks(watch, *every_second(0, 6), *both))
    assert looks(watch, (10.0, 1.0, {"a": 1, "b": 1})) == [["a"]]


def test_an_attempt_that_ended_and_came_back_is_watched_anew() -> None:
    watch: Watch[str] = Watch(LEASE, GAP)
    assert not any(looks(watch, *every_second(0, 5), (5.0, 1.0, {}), *every_second(6, 16)))
