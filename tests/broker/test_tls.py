"""The broker over TLS: who it is, is checked before anything is said to it, by both adapters alike."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.api.broker import check_broker
from shared.broker.aio_client import AsyncBroker
from shared.broker.errors import BrokerDenied, BrokerUnavailable
from shared.broker.pika_client import BlockingBroker
from shared.settings import broker_url as url_of_settings
from tests.fakes.tls import Certificates, make_certificates, tls_in_front_of

pytestmark = pytest.mark.integration

Connects = Callable[..., Awaitable[None]]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("ours"))


@pytest.fixture
def settings(broker_url: str, ours: Certificates) -> Iterator[dict[str, str]]:
    """Of a service: a broker over TLS, and who is trusted."""
    parts = urlsplit(broker_url)
    with tls_in_front_of(str(parts.hostname), parts.port or 5672, ours.server()) as port:
        yield over_tls(broker_url, port, ours.authorities)


def over_tls(url: str, port: int, authorities: str) -> dict[str, str]:
    place = urlsplit(url)._replace(netloc=f"guest:guest@127.0.0.1:{port}")
    return {"OASIS_CELERY_BROKER_URL": place.geturl(), "OASIS_CELERY_BROKER_SSL_CA_CERTS": authorities}


@pytest.fixture(params=["pika", "aio-pika"])
def connects(request: pytest.FixtureRequest) -> Connects:
    """Opens a client of one kind, waits until it is connected, and closes it."""

    async def pika(url: str, within: float = 10) -> None:
        with BlockingBroker(url, "tls") as broker:
            await asyncio.to_thread(broker.wait_connected, within)

    async def aio_pika(url: str, within: float = 10) -> None:
        async with AsyncBroker(url, "tls") as broker:
            await broker.wait_connected(within)

    return pika if request.param == "pika" else aio_pika


async def test_a_broker_that_is_trusted_is_spoken_to_over_tls(connects: Connects, settings: dict[str, str]) -> None:
    await connects(url_of_settings(settings))
    check_broker(url_of_settings(settings))


async def test_a_broker_that_another_has_signed_is_refused(
    connects: Connects, settings: dict[str, str], tmp_path: Path
) -> None:
    other = make_certificates(tmp_path).authorities
    with pytest.raises(BrokerDenied, match=r"not trusted: .*OASIS_CELERY_BROKER_SSL_CA_CERTS"):
        await connects(url_of_settings(settings | {"OASIS_CELERY_BROKER_SSL_CA_CERTS": other}))


async def test_a_certificate_of_another_host_is_refused(
    connects: Connects, broker_url: str, ours: Certificates
) -> None:
    parts = urlsplit(broker_url)
    with (
        tls_in_front_of(str(parts.hostname), parts.port or 5672, ours.server("rabbitmq")) as port,
        pytest.raises(BrokerDenied, match=r"not trusted: .*127\.0\.0\.1"),
    ):
        await connects(url_of_settings(over_tls(broker_url, port, ours.authorities)))


async def test_a_broker_without_tls_is_not_spoken_to(connects: Connects, broker_url: str, ours: Certificates) -> None:
    settings = {"OASIS_CELERY_BROKER_URL": broker_url, "OASIS_CELERY_BROKER_SSL_CA_CERTS": ours.authorities}
    with pytest.raises(BrokerUnavailable, match="do not agree on TLS"):
        await connects(url_of_settings(settings), within=3)


async def test_a_broker_that_asks_for_a_certificate_is_shown_ours(
    connects: Connects, broker_url: str, ours: Certificates, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run([*command, "-subj", "/CN=me", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ours.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificate)
    parts = urlsplit(broker_url)
    with tls_in_front_of(str(parts.hostname), parts.port or 5672, context) as port:
        settings = over_tls(broker_url, port, ours.authorities)
        with pytest.raises(BrokerUnavailable):
            await connects(url_of_settings(settings), within=1.5)
        shown = {
            "OASIS_CELERY_BROKER_SSL_CERTFILE": str(certificate),
            "OASIS_CELERY_BROKER_SSL_KEYFILE": str(key),
        }
        await connects(url_of_settings(settings | shown))
