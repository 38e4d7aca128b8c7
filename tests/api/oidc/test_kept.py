"""A document of the provider is fetched seldom, and kept in use while nobody answers."""

from collections.abc import Iterable

import pytest

from services.api.errors import ProviderDown
from services.api.oidc.kept import Kept, Pace

PACE = Pace(good_for=600, usable_for=3600, pause=5)


class Fetched:
    """Answers in turn; None is no answer."""

    def __init__(self, answers: Iterable[str | None]) -> None:
        self._answers = iter(answers)
        self.count = 0
        self.now = 1000.0
        self.lasts = 0.0
        self.kept = Kept(self._fetch, PACE, lambda: self.now)

    def _fetch(self) -> str:
        self.count += 1
        self.now += self.lasts
        answer = next(self._answers)
        if answer is None:
            raise ProviderDown("no answer")
        return answer

    def after(self, seconds: float) -> Kept[str]:
        self.now += seconds
        return self.kept


def test_it_is_fetched_when_it_is_needed_and_again_when_it_is_old() -> None:
    fetched = Fetched(["a", "b"])

    assert [fetched.after(seconds).get() for seconds in (0, 599, 1)] == ["a", "a", "b"]
    assert fetched.count == 2


def test_while_nobody_answers_the_old_one_is_used_for_a_while() -> None:
    fetched = Fetched(["a", None, None, None, "b"])
    fetched.kept.get()

    assert fetched.after(700).get() == "a"
    assert fetched.after(2800).get() == "a"
    with pytest.raises(ProviderDown):
        fetched.after(100).get()
    assert fetched.after(5).get() == "b"


def test_nobody_makes_it_be_fetched_more_often_than_the_pause() -> None:
    fetched = Fetched(["a", "b", None, "c"])
    first = fetched.kept.get()

    assert [fetched.kept.renew(first) for _ in range(100)] == ["a"] * 100
    assert fetched.count == 1
    assert fetched.after(5).renew(first) == "b"
    assert fetched.kept.renew(first) == "b", "there is a newer one already"
    with pytest.raises(ProviderDown):
        fetched.after(5).renew("b")
    for _ in range(100):
        with pytest.raises(ProviderDown):
            fetched.after(0.01).renew("b")
    assert fetched.count == 3
    assert fetched.after(5).renew("b") == "c"


def test_a_provider_that_hangs_is_asked_by_one_after_a_pause_and_not_in_a_row() -> None:
    fetched = Fetched([None, None])
    fetched.lasts = 8.0

    for _ in range(10):
        with pytest.raises(ProviderDown):
            fetched.kept.get()

    assert fetched.count == 1
