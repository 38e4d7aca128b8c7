"""Nothing of pika, aio-pika or sockets gets past the adapters."""

from __future__ import annotations

import asyncio
import inspect

import aiormq.exceptions
import pika.exceptions
import pytest

from shared.broker import aio_values, errors, pika_values
from shared.broker.aio_client import AsyncBroker
from shared.broker.errors import BrokerDenied, BrokerError, BrokerUnavailable, QueueLocked, TopologyRefused, afresh
from shared.broker.pika_client import BlockingBroker


def exceptions_of(module: object) -> list[type[Exception]]:
    return [c for _, c in inspect.getmembers(module, inspect.isclass) if issubclass(c, Exception)]


def test_every_error_of_pika_becomes_one_of_ours() -> None:
    for kind in exceptions_of(pika.exceptions):
        foreign = kind.__new__(kind)
        foreign.args = (999, "text")
        foreign._reply_code, foreign._reply_text = 999, "text"  # type: ignore[attr-defined]
        assert isinstance(pika_values.error_of(foreign), BrokerError), kind


def test_every_error_of_aio_pika_becomes_one_of_ours() -> None:
    for kind in exceptions_of(aiormq.exceptions):
        foreign = kind.__new__(kind)
        foreign.args = ("text",)
        foreign.frame = None  # type: ignore[attr-defined]
        with pytest.raises(BrokerError), aio_values.foreign_errors():
            raise foreign


@pytest.mark.parametrize("broken", [ConnectionResetError("reset"), TimeoutError(), OSError(113, "no route")])
def test_broken_sockets_are_worth_another_try(broken: OSError) -> None:
    assert isinstance(pika_values.error_of(broken), BrokerUnavailable)
    assert isinstance(aio_values.error_of(broken), BrokerUnavailable)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(403, BrokerDenied), (404, TopologyRefused), (405, QueueLocked), (406, TopologyRefused), (541, BrokerUnavailable)],
)
def test_both_adapters_read_a_channel_close_alike(code: int, kind: type[BrokerError]) -> None:
    by_aiormq = aiormq.channel.exception_by_code(aiormq.spec.Channel.Close(code, "why", 0, 0))

    assert type(pika_values.error_of(pika.exceptions.ChannelClosedByBroker(code, "why"))) is kind
    assert type(aio_values.error_of(by_aiormq)) is kind


def test_a_broker_that_dies_during_the_login_does_not_deny() -> None:
    died = pika.exceptions.ProbableAuthenticationError("StreamLostError: ('Transport indicated EOF',)")

    assert isinstance(pika_values.error_of(died), BrokerUnavailable)


async def test_a_cancel_of_ours_stays_a_cancel_and_the_library_s_does_not() -> None:
    async def library_cancels() -> None:
        with aio_values.foreign_errors():
            raise asyncio.CancelledError

    async def waits() -> None:
        with aio_values.foreign_errors():
            await asyncio.sleep(60)

    with pytest.raises(BrokerUnavailable):
        await library_cancels()
    waiting = asyncio.create_task(waits())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_an_error_s_default_message_says_what_to_do() -> None:
    assert "Try again" in str(BrokerUnavailable())
    assert "password" in str(BrokerDenied())
    assert [c.__name__ for c in exceptions_of(errors) if c.__doc__ is None] == []


def test_an_error_raised_again_is_the_same_but_another_object() -> None:
    first = BrokerDenied("because")

    assert afresh(first) is not first
    assert (type(afresh(first)), str(afresh(first))) == (BrokerDenied, "because")


@pytest.mark.parametrize("wrong", ["user", "vhost"])
def test_wrong_credentials_are_denied_at_once_by_the_blocking_client(private_url: str, vhost: str, wrong: str) -> None:
    broker = BlockingBroker(spoiled(private_url, vhost, wrong), "denied")
    with broker, pytest.raises(BrokerDenied, match="Check the user, the password and the virtual host"):
        broker.wait_connected(30)


@pytest.mark.parametrize("wrong", ["user", "vhost"])
async def test_wrong_credentials_are_denied_at_once_by_the_asyncio_client(
    private_url: str, vhost: str, wrong: str
) -> None:
    async with AsyncBroker(spoiled(private_url, vhost, wrong), "denied") as broker:
        with pytest.raises(BrokerDenied, match="Check the user, the password and the virtual host"):
            await broker.wait_connected(30)


def spoiled(url: str, vhost: str, wrong: str) -> str:
    return url.replace("guest:", "nobody:") if wrong == "user" else url.replace(vhost, "no-such-vhost")


def test_errors_that_lead_back_to_themselves_become_one_of_ours_too() -> None:
    lost, broken = ConnectionResetError("lost"), ConnectionError("broken")
    lost.__cause__, broken.__cause__ = broken, lost
    assert isinstance(aio_values.error_of(lost), BrokerUnavailable)
