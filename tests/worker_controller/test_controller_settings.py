"""The settings of the controller, by the names of the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.worker_controller.addresses import Addresses
from services.worker_controller.rules import Limits
from services.worker_controller.settings import Settings
from shared.settings import BadSetting

NEEDED = {"OASIS_WORKER_CONTROLLER_MODELS_FILE": "/models.yaml"}


def test_defaults_are_those_of_the_reference() -> None:
    settings = Settings.read(NEEDED)
    assert settings.addresses.api == "http://localhost:8000/"
    assert settings.addresses.websocket == "ws://localhost:8001/ws/v2/queue-status/"
    assert settings.credentials == {"username": "admin", "password": "password"}
    assert settings.rules.limits == Limits()
    assert (settings.models_file, settings.fleet) == (Path("/models.yaml"), "process")


def test_everything_can_be_set() -> None:
    options = {
        "OASIS_API_HOST": "ui.oasis.local/api",
        "OASIS_API_PORT": "",
        "OASIS_API_SECURE": "1",
        "OASIS_WEBSOCKET_HOST": "ui.oasis.local/ws",
        "OASIS_WEBSOCKET_PORT": "",
        "OASIS_USE_OIDC": "true",
        "OASIS_SERVICE_USERNAME_OR_ID": "me",
        "OASIS_SERVICE_PASSWORD_OR_SECRET": "hush",
        "OASIS_TOTAL_WORKER_LIMIT": "9",
        "OASIS_PRIORITIZED_MODELS_LIMIT": "2",
        "OASIS_NEVER_SHUTDOWN_FIXED_WORKERS": "true",
        "OASIS_CONTINUE_UPDATE_SCALING": "1",
        "OASIS_WORKER_CONTROLLER_V1_WORKERS": "0",
    }
    settings = Settings.read(NEEDED | options)
    assert settings.addresses.api == "https://ui.oasis.local/api/"
    assert settings.addresses.websocket == "wss://ui.oasis.local/ws/v2/queue-status/"
    assert settings.credentials == {"client_id": "me", "client_secret": "hush"}
    assert settings.rules.limits == Limits(9, 2, True)
    assert (settings.scaling_age, settings.rules.v1_workers) == (0.0, None)
    assert "hush" not in repr(settings)


def test_a_path_of_the_api_comes_behind_the_port() -> None:
    assert Addresses(api_path="/api/").api == "http://localhost:8000/api/"


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"OASIS_WORKER_CONTROLLER_MODELS_FILE": ""}, "MODELS_FILE"),
        ({"OASIS_WORKER_CONTROLLER_FLEET": "kubernetes"}, "FLEET"),
        ({"OASIS_API_PORT": "http"}, "OASIS_API_PORT"),
        ({"OASIS_TOTAL_WORKER_LIMIT": "0"}, "TOTAL_WORKER_LIMIT"),
        ({"OASIS_WORKER_CONTROLLER_IDLE_AFTER": "soon"}, "IDLE_AFTER"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(wrong: dict[str, str], names: str) -> None:
    with pytest.raises(BadSetting, match=names):
        Settings.read(NEEDED | wrong)
