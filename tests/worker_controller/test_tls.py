"""API and queue status over https and wss: by the controller, and by the doctor."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.sync.server import ServerConnection, serve

from services.embedded.doctor.collect_parts import api_problem
from services.worker_controller.api_client import ApiClient
from services.worker_controller.errors import ApiError
from services.worker_controller.listening import Latest, Listener
from services.worker_controller.settings import Settings
from shared.settings import BadSetting
from shared.tls import client_context
from tests.fakes.tls import Certificates, make_certificates, tls_in_front_of
from tests.worker_controller.http_api import HttpApi
from tests.worker_controller.waiting import eventually

CREDENTIALS = {"username": "me", "password": "mine"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def url(certificates: Certificates) -> Iterator[str]:
    """Of an API that speaks TLS."""
    with HttpApi().serving() as api, tls_in_front_of("127.0.0.1", port_of(api.url), certificates.server()) as port:
        yield f"https://127.0.0.1:{port}/"


def port_of(url: str) -> int:
    return int(urlsplit(url).port or 0)


def settings(authorities: str) -> Settings:
    return Settings.read(
        {
            "OASIS_WORKER_CONTROLLER_MODELS_FILE": "/models.yaml",
            "OASIS_API_SECURE": "True",
            "OASIS_API_SSL_CA_CERTS": authorities,
        }
    )


def client(url: str, authorities: str) -> ApiClient:
    files = settings(authorities).tls
    assert files is not None
    return ApiClient(url, CREDENTIALS, tls=client_context(files))


def test_an_api_that_is_trusted_is_asked(url: str, certificates: Certificates) -> None:
    with closing(client(url, certificates.authorities)) as api:
        assert api.get("models/") == ["answer"]


def test_an_api_that_another_has_signed_is_told_no_password(url: str, tmp_path: Path) -> None:
    other = make_certificates(tmp_path)
    with closing(client(url, other.authorities)) as api, pytest.raises(ApiError, match="CERTIFICATE_VERIFY_FAILED"):
        api.get("models/")


def test_the_queue_status_is_heard_over_tls(url: str, certificates: Certificates) -> None:
    latest, stopping = Latest(), threading.Event()
    with (
        closing(client(url, certificates.authorities)) as api,
        telling('{"type": "queue_status.updated", "status": "SUCCESS", "content": []}') as told,
        tls_in_front_of("127.0.0.1", told, certificates.server()) as port,
    ):
        trust = settings(certificates.authorities).tls
        assert trust is not None
        listener = Listener(f"wss://127.0.0.1:{port}/", api, latest, client_context(trust))
        thread = threading.Thread(target=listener.run, args=(stopping,))
        thread.start()
        try:
            eventually(lambda: latest.get()[0] == {}, "the status is heard")
        finally:
            stopping.set()
            thread.join(10)


@contextmanager
def telling(status: str) -> Iterator[int]:
    """The port of a server that tells everybody this."""

    def tell(connection: ServerConnection) -> None:
        connection.send(status)
        for _ in connection:
            continue

    with serve(tell, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(10)


def test_the_doctor_says_whose_certificate_it_does_not_trust(url: str, certificates: Certificates) -> None:
    trusting = api_problem(url, certificates.authorities)
    strange = api_problem(url)
    assert trusting is not None
    assert "answers with status" in trusting.reason
    assert strange is not None
    assert "OASIS_API_SSL_CA_CERTS" in strange.reason


def test_authorities_that_cannot_be_read_are_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"OASIS_API_SSL_CA_CERTS is .*No such file"):
        settings(str(tmp_path / "nothing"))
