"""The commands against a platform as `lossline up` runs it: real services, and a message that none can read."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from websockets.sync.client import connect

from services.embedded.doctor.examination import examine
from services.embedded.doctor.facts import Finding
from services.embedded.layout import Layout
from services.embedded.parked import ParkedMessages
from services.embedded.platform import Platform
from services.embedded.ports import free_port
from services.embedded.reach import Reach, find_platform
from services.embedded.running import running_file
from shared import names
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import OutgoingMessage
from shared.core.plan import RECORDER_QUEUE
from tests.embedded_commands.conftest import parked_left
from tests.embedded_commands.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("installed_rabbitmq")]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that PostgreSQL's own account can reach; pytest's are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="ll-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def findings_of(reach: Reach) -> list[Finding]:
    """What is wrong, the space on this machine's disks left aside."""
    return [finding for finding in examine(reach).findings if "is free on the disk" not in finding.what]


def status_of(platform: Platform) -> object:
    """The first queue status that the platform's websocket server tells its administrator, our own queues left out."""
    login = {"username": platform.login.username, "password": platform.login.password}
    token = requests.post(f"{platform.url}access_token/", data=login, timeout=25).json()["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    with connect(f"{platform.websocket_url}ws/v2/queue-status/", additional_headers=header, proxy=None) as client:
        content = json.loads(client.recv(timeout=30))["content"]
    names_told = {each["queue"]["name"] for each in content}
    assert names.INTERNAL_QUEUE in names_told, "the platform has started its internal worker"
    return [each for each in content if each["queue"]["name"] not in (RECORDER_QUEUE, names.INTERNAL_QUEUE)]


def test_a_message_that_no_service_can_read_is_found_replayed_and_dropped(
    home: Path, environ: pytest.MonkeyPatch
) -> None:
    layout = Layout(home / "home")
    at_home = {"LOSSLINE_HOME": str(layout.home)}
    # Given a platform without workers
    with Platform(layout, [], free_port(), home / "cache", said=lambda _: None) as platform:
        reach = find_platform(at_home)
        assert str(os.getpid()) in reach.said
        assert str(platform.websocket_port) in reach.websocket
        assert status_of(platform) == []
        assert findings_of(reach) == []
        with BlockingBroker(reach.broker, "tests") as broker:
            broker.wait_connected(10)
            # When a message comes that the task controller cannot read
            broker.publish([OutgoingMessage("", names.TASK_CONTROLLER_QUEUE, b"\xff{")])
            eventually(lambda: parked_left(broker) == 1, "it is parked")
            # Then the doctor says so
            (finding,) = findings_of(reach)
            assert "1 message is parked" in finding.what
            # And replayed, it is parked again for the same reason
            with ParkedMessages(broker) as held:
                (message,) = held.messages
                assert (message.queue, message.delivery.body) == (names.TASK_CONTROLLER_QUEUE, b"\xff{")
                assert held.replay([message])[0].problem == ""
            eventually(lambda: parked_left(broker) == 1, "it is parked again")
            # And dropped, it is gone, and all is well
            with ParkedMessages(broker) as held:
                assert [message.reason for message in held.messages] == [message.reason]
                held.drop(held.messages)
            eventually(lambda: findings_of(reach) == [], "nothing is wrong")
    # And the platform leaves no trace of itself
    assert not running_file(layout).exists()
