"""What the doctor sees of broker, object store, API and disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.embedded.doctor.collect_broker import broker_facts
from services.embedded.doctor.collect_parts import (
    api_problem,
    file_systems,
    folders_of,
    store_problem,
    websocket_problem,
)
from services.embedded.doctor.facts import BrokerFacts, Unreachable
from services.embedded.layout import Layout
from services.embedded.ports import free_port
from services.embedded.rabbitmq import PrivateBroker
from shared import names
from shared.broker.pika_client import BlockingBroker
from shared.broker.port import OutgoingMessage, QueueDepth
from shared.object_store import DirectorySettings, ObjectStoreSettings, S3Settings
from shared.topology import PLATFORM
from tests.embedded_commands.http_api import answering

pytestmark = pytest.mark.integration


def test_a_bare_broker_has_no_queues(rabbit_url: str) -> None:
    assert broker_facts(rabbit_url, ["model"]) == BrokerFacts({}, takes_messages=True)


def test_depths_and_readers_of_the_queues_are_read(rabbit_url: str) -> None:
    with BlockingBroker(rabbit_url, "tests") as broker:
        broker.declare(PLATFORM)
        consumer = broker.consume(names.TASK_CONTROLLER_QUEUE, prefetch=1)
        assert consumer.wait_consuming(10)
        broker.publish([OutgoingMessage("", names.PARKED_QUEUE, b"x")])
        facts = broker_facts(rabbit_url, ["no-such-queue"])
    assert isinstance(facts, BrokerFacts)
    assert facts.depths[names.TASK_CONTROLLER_QUEUE] == QueueDepth(0, 1)
    assert facts.depths[names.PARKED_QUEUE] == QueueDepth(1, 0)
    assert facts.depths.keys() == {queue.name for queue in PLATFORM.queues}


def test_looking_leaves_nothing_on_the_broker(rabbit_url: str) -> None:
    with BlockingBroker(rabbit_url, "tests") as broker:
        broker.declare(PLATFORM)
        before = broker.queue_depths([queue.name for queue in PLATFORM.queues])
        broker_facts(rabbit_url, [])
        assert broker.queue_depths([queue.name for queue in PLATFORM.queues]) == before


def test_a_broker_with_an_alarm_takes_no_messages(installed_rabbitmq: None, tmp_path: Path) -> None:
    # Given a broker that may use no memory
    watermark = "vm_memory_high_watermark.relative = 0.000001"
    with PrivateBroker(tmp_path / "node", tmp_path / "log", extra_config=watermark) as node:
        # When the doctor looks at it, then it is reached, and found to take nothing
        assert broker_facts(node.url, [], within=2.0) == BrokerFacts({}, takes_messages=False)


def test_a_broker_that_is_not_there_or_refuses_us_is_named_without_its_password(rabbitmq: PrivateBroker) -> None:
    port = free_port()
    gone = broker_facts(f"amqp://ana:hidden@127.0.0.1:{port}/", [], within=1.0)
    assert isinstance(gone, Unreachable)
    assert gone.where == f"127.0.0.1:{port}"
    refused = broker_facts(f"amqp://ana:hidden@127.0.0.1:{rabbitmq.port}/", [])
    assert isinstance(refused, Unreachable)
    assert "user" in refused.reason
    assert "hidden" not in f"{gone} {refused}"


def test_an_api_that_is_well_is_no_problem() -> None:
    with answering(200) as url:
        assert api_problem(url) is None
        assert api_problem(url.rstrip("/")) is None


def test_an_api_that_reaches_no_database_is_one() -> None:
    with answering(503, b'{"status": "ERROR - db down"}') as url:
        problem = api_problem(url)
    assert problem is not None
    assert problem.where == url
    assert "status 503" in problem.reason
    assert "db down" in problem.reason


def test_a_websocket_server_that_is_not_well_is_named() -> None:
    with answering(200) as url:
        assert websocket_problem(url) is None
    with answering(503, b'{"status": "ERROR - the database does not answer"}') as url:
        problem = websocket_problem(url)
    assert problem is not None
    assert (problem.part, problem.where) == ("websocket server", url)
    assert "the database does not answer" in problem.reason


def test_an_api_that_is_not_there_is_one() -> None:
    problem = api_problem(f"http://127.0.0.1:{free_port()}/")
    assert problem is not None
    assert problem.reason == "nothing answers there"


@pytest.mark.parametrize("address", ["nonsense", "http://", "ftp://127.0.0.1/"])
def test_an_address_that_is_none_is_one(address: str) -> None:
    problem = api_problem(address)
    assert problem is not None
    assert problem.part == "API"


def test_a_folder_of_objects_is_tried(tmp_path: Path) -> None:
    assert store_problem(ObjectStoreSettings(DirectorySettings(tmp_path))) is None
    (tmp_path / "file").touch()
    problem = store_problem(ObjectStoreSettings(DirectorySettings(tmp_path / "file" / "objects")))
    assert problem is not None
    assert problem.where == str(tmp_path / "file" / "objects")


def test_a_server_of_objects_that_is_not_there_is_named_without_its_secrets() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    backend = S3Settings(
        "losses", url, region="region", access_key_id="key", secret_access_key="hidden", connect_timeout=0.5, retries=0
    )
    problem = store_problem(ObjectStoreSettings(backend))
    assert problem is not None
    assert problem.where == f"{url}/losses"
    assert "hidden" not in str(problem)


def test_the_disks_of_all_folders_are_measured_once_each(layout: Layout) -> None:
    folders = folders_of(ObjectStoreSettings(DirectorySettings(layout.objects)), layout)
    (disk,) = file_systems(folders)
    assert len(disk.folders) == 3
    assert disk.folders[0] == f"{layout.objects} (objects)"
    assert 0 <= disk.free < disk.total


def test_folders_of_other_machines_are_left_out(tmp_path: Path) -> None:
    s3 = ObjectStoreSettings(S3Settings("losses", "http://127.0.0.1:1"))
    assert folders_of(s3, None) == {}
    assert file_systems({"objects": tmp_path / "missing"}) == ()


def test_two_disks_are_two(tmp_path: Path) -> None:
    if Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one file system to write to")
    assert len(file_systems({"objects": tmp_path, "logs": Path("/dev/shm")})) == 2
