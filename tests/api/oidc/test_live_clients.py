"""Clients of the platform as they are, against the service as a process and a provider as another."""

from contextlib import closing
from pathlib import Path

import pytest
from oasislmf.platform_api.session import APISession
from sqlalchemy import Engine

from services.embedded.client import ApiClient as CommandClient
from services.embedded.client import ApiRefused
from services.embedded.environment import Login
from services.embedded.errors import EmbeddedError
from services.worker_controller.api_client import ApiClient as ControllerClient
from services.worker_controller.settings import _credentials
from shared.settings import Options
from tests.api.live_server import environment, live_server
from tests.api.oidc.running_provider import CLIENT, SECRET, RunningProvider

SERVICE = {"OASIS_SERVICE_USERNAME_OR_ID": "oasis-service", "OASIS_SERVICE_PASSWORD_OR_SECRET": "serviceNotSoSecret"}


def test_every_client_of_ours_and_that_of_oasislmf_logs_in(
    engine: Engine, tmp_path: Path, issuing: RunningProvider
) -> None:
    environ = environment(engine.url, tmp_path) | SERVICE
    environ |= {
        "OASIS_API_AUTH_TYPE": "keycloak",
        "OASIS_SERVER_OIDC_ENDPOINT": f"{issuing.url}/protocol/openid-connect/",
        "OASIS_SERVER_OIDC_CLIENT_NAME": CLIENT,
        "OASIS_SERVER_OIDC_CLIENT_SECRET": SECRET,
    }
    with live_server(environ, tmp_path / "log") as server:
        command = CommandClient(server.url, Login.of(environ))
        assert command.get("server_info/")["config"]["API_AUTH_TYPE"] == "keycloak"
        assert command.post("v2/portfolios/", {"name": "a"})["name"] == "a"

        credentials = _credentials(Options("WORKER_CONTROLLER", SERVICE | {"OASIS_USE_OIDC": "1"}))
        with closing(ControllerClient(f"{server.url}/", credentials)) as controller:
            assert controller.get("workers/") == []

        with APISession(
            server.url, auth_type="oidc", client_id="oasis-service", client_secret="serviceNotSoSecret"
        ) as session:
            assert session.get(f"{server.url}/v2/portfolios/").status_code == 200

        with pytest.raises(ApiRefused, match=r"access_token/ \(status 401\)"):
            CommandClient(server.url, Login("oasis-service", "wrong", by_provider=True)).get("v2/models/")
        with pytest.raises(ApiRefused, match="403"):
            CommandClient(server.url, Login()).get("v2/models/")


def test_the_command_wants_a_client_where_there_is_a_provider() -> None:
    assert Login.of({}) == Login.of({"OASIS_API_AUTH_TYPE": "disabled"}) == Login()
    assert (
        str(Login.of({"OASIS_API_AUTH_TYPE": "oidc", **SERVICE})) == "Log in with tokens of the OpenID Connect provider"
    )
    with pytest.raises(EmbeddedError, match="OASIS_SERVICE_USERNAME_OR_ID"):
        Login.of({"OASIS_SERVER_API_AUTH_TYPE": "keycloak"})
