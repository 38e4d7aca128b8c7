"""The private broker: real nodes, real faults."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import psutil
import pytest

from services.embedded import rabbitmq
from services.embedded.errors import FolderInUse, PortTaken, RabbitMQMissing, StartFailed
from services.embedded.rabbitmq import DEFAULT_IMAGE, PrivateBroker, image_from
from tests.embedded.living import Command, are_gone, eventually, processes_naming

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("_rabbitmq")]

QUEUE = "kept"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    folder = tmp_path_factory.mktemp("rabbitmq")
    with PrivateBroker(folder / "node", folder / "broker.log") as started:
        yield started


def publish(url: str, body: bytes) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(QUEUE, durable=True)
        persistent = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", QUEUE, body, persistent, mandatory=True)


def take(url: str) -> bytes | None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        body: bytes | None = connection.channel().basic_get(QUEUE, auto_ack=True)[2]
        return body


def test_a_message_goes_in_and_comes_out(broker: PrivateBroker) -> None:
    publish(broker.url, b"there is work here")
    assert take(broker.url) == b"there is work here"


def test_a_durable_message_survives_a_killed_broker(broker: PrivateBroker) -> None:
    # Given a confirmed message in a queue that is on disk: a message may be confirmed before its queue is there
    publish(broker.url, b"first")
    broker.restart()
    assert take(broker.url) == b"first"
    publish(broker.url, b"durable")
    url, pid = broker.url, broker.pid
    # When the broker is killed and started again
    broker.kill()
    assert broker.pid is None
    assert pid is not None
    assert not psutil.pid_exists(pid)
    broker.restart()
    # Then it answers at the same address and has kept the message
    assert broker.url == url
    assert take(url) == b"durable"


def test_it_listens_on_the_loopback_only(broker: PrivateBroker) -> None:
    addresses = {
        c.laddr.ip for p in processes_naming(broker.node_name) for c in p.net_connections() if c.status == "LISTEN"
    }
    # Erlang's port mapper adds ::1 by itself
    assert addresses <= {"127.0.0.1", "::1"}
    assert "127.0.0.1" in addresses


def test_a_stranger_cannot_log_in(broker: PrivateBroker) -> None:
    guest = f"amqp://guest:guest@127.0.0.1:{broker.port}/%2F"
    assert "Authentication" in str(rabbitmq.handshake(guest, broker.port))


def test_its_secrets_are_readable_by_the_owner_only(broker: PrivateBroker) -> None:
    secret = broker.url.split(":")[2].split("@")[0]
    holders = [path for path in broker._folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert {path.name for path in holders} >= {"identity.json", "rabbitmq.conf"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in holders if path.parent.name != "data"} == {0o600}


def test_a_second_broker_on_the_same_folder_is_refused(broker: PrivateBroker) -> None:
    second = PrivateBroker(broker._folder, broker._log_file)
    with pytest.raises(FolderInUse, match="in use by another Lossline"), second:
        pass


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        broker = PrivateBroker(tmp_path / "node", tmp_path / "broker.log", port=port)
        with pytest.raises(PortTaken, match=f"Port {port} on 127.0.0.1 is already used by .*process"), broker:
            pass


def test_a_broken_configuration_is_shown_with_the_log(tmp_path: Path) -> None:
    broker = PrivateBroker(tmp_path / "node", tmp_path / "broker.log", extra_config="no_such_setting = 1")
    with pytest.raises(StartFailed, match="no_such_setting") as raised, broker:
        pass
    assert raised.value.log == tmp_path / "broker.log"
    assert processes_naming(str(tmp_path)) == []


def test_the_story_of_a_failed_boot_ends_where_it_failed() -> None:
    crash = "\n".join(f"    ancestor {number}" for number in range(40))
    assert rabbitmq.boot_story(f"old\nthe cause\nBOOT FAILED\n{crash}", lines=2) == "the cause\nBOOT FAILED"
    assert rabbitmq.boot_story("a\nb\nc", lines=2) == "b\nc"


def test_without_rabbitmq_and_docker_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rabbitmq, "find_server", lambda: None)
    monkeypatch.setattr(rabbitmq, "docker_answers", lambda: False)
    with pytest.raises(RabbitMQMissing, match="apt-get install rabbitmq-server"):
        PrivateBroker(tmp_path / "node", tmp_path / "broker.log").__enter__()


def test_the_image_is_a_setting() -> None:
    assert image_from({}) == DEFAULT_IMAGE
    assert image_from({"LOSSLINE_RABBITMQ_IMAGE": "mirror/rabbitmq:3.13"}) == "mirror/rabbitmq:3.13"


def test_nothing_stays_when_the_command_ends_or_is_killed(tmp_path: Path, command: Callable[[str], Command]) -> None:
    # Given a command that runs a broker
    parent = command(f"""
        from pathlib import Path
        from services.embedded.rabbitmq import PrivateBroker
        PrivateBroker(Path({str(tmp_path)!r}) / "node", Path({str(tmp_path)!r}) / "broker.log").__enter__()
    """)
    kinds = {process.name() for process in psutil.Process(parent.process.pid).children(recursive=True)}
    assert {"beam.smp", "epmd"} <= kinds
    family = psutil.Process(parent.process.pid).children(recursive=True)
    # When the command is killed
    parent.process.kill()
    parent.process.wait()
    # Then broker, port mapper and helpers die too
    eventually(lambda: are_gone(family))
    # And the next command starts on the same folder, and leaves nothing when it ends in order
    others = psutil.Process().children(recursive=True)
    with PrivateBroker(tmp_path / "node", tmp_path / "broker.log"):
        family = [process for process in psutil.Process().children(recursive=True) if process not in others]
        assert {"beam.smp", "epmd"} <= {process.name() for process in family}
    eventually(lambda: are_gone(family))
