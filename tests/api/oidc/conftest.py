"""A provider a session, and the application that trusts it."""

import time
from collections.abc import Callable, Iterator

import pytest

from services.api.oidc.kept import Pace
from services.api.oidc.provider import Provider
from services.api.settings import AuthSettings
from tests.api.api_client import Api
from tests.api.oidc.running_provider import RunningProvider, running_provider

QUICK = Pace(pause=0.05)


@pytest.fixture(scope="session")
def issuing() -> Iterator[RunningProvider]:
    """The provider."""
    with running_provider() as provider:
        yield provider


@pytest.fixture
def api_of(api_with: Callable[..., Api]) -> Iterator[Callable[..., Api]]:
    """Make a client, not logged in, of an application that trusts a provider."""
    made: list[Provider] = []

    def make(
        issuing: RunningProvider, pace: Pace = QUICK, clock: Callable[[], float] = time.monotonic, **changes: object
    ) -> Api:
        oidc = issuing.settings(**changes)
        provider = Provider(oidc, pace, clock)
        made.append(provider)
        return api_with(
            auth=AuthSettings(kind=oidc.kind, signing_key="a key of the tests", oidc=oidc), provider=provider
        )

    yield make
    for provider in made:
        provider.close()


@pytest.fixture
def oidc_api(api_of: Callable[..., Api], issuing: RunningProvider) -> Api:
    """A client of an application that trusts the provider; not logged in."""
    return api_of(issuing)
