"""A provider that changes its keys, goes away, and comes back."""

from collections.abc import Callable, Iterator

import pytest

from services.api.oidc.kept import Pace
from tests.api.api_client import Api
from tests.api.oidc.running_provider import RunningProvider, running_provider

DOWN = "The OpenID Connect provider does not answer. Try again later."
SERVICE = {"client_id": "oasis-service", "client_secret": "serviceNotSoSecret"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def mortal() -> Iterator[RunningProvider]:
    """A provider of the test's own."""
    with running_provider() as provider:
        yield provider


def test_rotated_keys_are_found_and_the_old_ones_forgotten(api_of: Callable[..., Api], mortal: RunningProvider) -> None:
    api = api_of(mortal, Pace(pause=0.0))
    old = mortal.token()
    assert api.get("models/", headers=bearer(old)).status_code == 200

    mortal.rotate()

    assert api.get("models/", headers=bearer(mortal.token())).status_code == 200
    assert api.get("models/", headers=bearer(old)).status_code == 403

    # Who is let in meanwhile does not depend on the provider; who comes anew does.
    known = mortal.token()
    mortal.kill()
    assert api.get("models/", headers=bearer(known)).status_code == 200
    refused_login = api.post("/access_token/", SERVICE)
    assert (refused_login.status_code, (refused_login.json or {})["detail"]) == (503, DOWN)
    assert api.get("models/", headers=bearer(old)).status_code == 503, "perhaps it is of a key that we do not know"
    health = api.get("/healthcheck_connections/")
    assert (health.status_code, health.json) == (503, {"status": "ERROR - oidc provider down"})
    assert api.get("/healthcheck/").status_code == 200

    mortal.start()
    assert api.get("models/", headers=bearer(mortal.token())).status_code == 200
    assert api.post("/access_token/", SERVICE).status_code == 200
    assert api.get("/healthcheck_connections/").status_code == 200
    assert api.get("models/", headers=bearer(known)).status_code == 403


def test_a_server_starts_while_its_provider_is_down(api_of: Callable[..., Api], mortal: RunningProvider) -> None:
    token = mortal.token()
    mortal.kill()
    api = api_of(mortal, Pace(pause=0.0))

    answer = api.get("models/", headers=bearer(token))
    assert (answer.status_code, (answer.json or {})["detail"]) == (503, DOWN)

    mortal.start()
    assert api.get("models/", headers=bearer(mortal.token())).status_code == 200


def test_another_provider_at_the_address_is_not_taken(api_of: Callable[..., Api], issuing: RunningProvider) -> None:
    api = api_of(issuing, issuer="https://login.example/realms/oasis")

    answer = api.get("models/", headers=bearer(issuing.token()))

    assert (answer.status_code, (answer.json or {})["detail"]) == (503, DOWN)
