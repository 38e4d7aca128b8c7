"""One trace for each run, from the HTTP request to the last attempt."""

import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from services.api.app import create_app
from services.api.auth.accounts import ensure_administrator
from services.api.dependencies import Dependencies
from services.api.settings import Administrator, ApiSettings, AuthSettings
from services.task_controller.settings import Settings
from services.task_controller.tracing import traces as traces_of
from services.task_controller.tracing.sending import send
from services.task_controller.tracing.spans import TracedRun
from services.task_controller.tracing.traces import Traces
from shared.core.inputs import FileRef
from shared.core.plan import RECORDER_QUEUE
from shared.core.retries import Cause
from shared.database.execution import Attempt, Run
from shared.messages.catalogue import StartRun
from shared.object_store import DirectorySettings, ObjectStoreSettings, open_object_store
from shared.service import threads
from shared.settings import BadSetting
from shared.tracing import open_exporter, open_tracer, resource, traces_wanted
from tests.api.api_client import ANALYSIS_SETTINGS, Api
from tests.fakes.trace_collector import Collector, trace_collector
from tests.task_controller.world import World

pytestmark = pytest.mark.integration

QUEUE = "OasisLMF-Traced-1-v2"
TRACE, CLIENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{CLIENT}-01"}
CHUNKS = [f"generate-losses-chunk-{number}" for number in range(3)]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with trace_collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


@pytest.fixture
def traces(engine: Engine, collector: Collector) -> Iterator[Traces]:
    with open_exporter() as exporter:
        yield Traces(engine, partial(send, exporter, resource("lossline-task-controller")))


class Platform:
    """The API and the task controller over one database. What the API has traced arrives when it is closed."""

    def __init__(self, world: World, folder: Path, resources: ExitStack) -> None:
        self.world = world
        settings = ApiSettings(
            database=world.engine.url,
            store=ObjectStoreSettings(DirectorySettings(folder)),
            broker="amqp://nobody@127.0.0.1:1/",
            auth=AuthSettings(signing_key="a key of the tests", administrator=Administrator("admin", "password")),
        )
        with Session(world.engine) as session, session.begin():
            ensure_administrator(session, settings.auth)
        self.store = resources.enter_context(open_object_store(settings.store))
        tracer = resources.enter_context(open_tracer("lossline-api"))
        self.api = Api(create_app(Dependencies(settings, world.engine, self.store, lambda: None, tracer=tracer)))
        self.api.login("admin", "password")

    def request(self) -> Any:
        """An analysis whose inputs and losses have been requested, by a client that traces too."""
        model = self.api.model("Traced")
        self.api.post(f"models/{model['id']}/chunking_configuration/", {"fixed_analysis_chunks": 3})
        analysis = self.api.analysis(model=model)
        self.api.post(f"analyses/{analysis['id']}/settings/", ANALYSIS_SETTINGS | {"model_name_id": "Traced"})
        self.ask(f"analyses/{analysis['id']}/generate_and_run/")
        return analysis

    def ask(self, path: str) -> None:
        answer = self.api.post(path, headers=HEADERS)
        assert answer.status_code == 200, answer.text
        self.world.tell(StartRun(self.newest_run))

    @property
    def newest_run(self) -> int:
        return int(self.world.value(select(Run.id).order_by(Run.id.desc()).limit(1)))

    def work_off(self, lost: str = "", failing: str = "") -> None:
        """Complete what is ready, but lose the first attempt at one sub-task, and fail every one at another."""
        while grant := self.world.claim(QUEUE) or self.world.claim(RECORDER_QUEUE):
            if grant.slug == lost:
                lost = ""
                self.world.finish(grant, Cause.LOST, message="its worker was silent")
            elif grant.slug == failing:
                self.world.finish(grant, Cause.MODEL_ERROR, message="Traceback\nit broke")
            else:
                now = datetime.now(UTC)
                times = {"started_at": now, "step_ended_at": now, "finished_at": now}
                out = FileRef(f"{grant.key_prefix}out", grant.slug)
                self.store.put(out.key, io.BytesIO(b"something"))
                self.world.finish(grant, artifacts={grant.step: out}, **times)
            self.world.end_back_off()


@pytest.fixture
def resources(collector: Collector) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def platform(world: World, tmp_path: Path, resources: ExitStack) -> Platform:
    return Platform(world, tmp_path, resources)


def test_a_run_is_one_whole_tree_below_the_request_of_its_client(
    platform: Platform, collector: Collector, traces: Traces, resources: ExitStack
) -> None:
    analysis = platform.request()
    platform.work_off(lost=CHUNKS[1])
    assert traces.look()
    resources.close()

    request = next(each for each in collector.spans if each.name.endswith("/generate_and_run/"))
    assert (request.trace, request.parent, request.service) == (TRACE, CLIENT, "lossline-api")
    assert request.attributes["http.response.status_code"] == 200
    ours = [each for each in collector.spans if each.service == "lossline-task-controller"]
    assert {each.trace for each in ours} == {TRACE}
    assert len({each.span_id for each in ours}) == len(ours)
    assert collector.below(request) == ["run generate_and_run"]
    run = collector.named("run generate_and_run")
    assert (run.attributes["lossline.run.analysis"], run.is_error) == (analysis["id"], False)
    stages = collector.below(run)
    assert stages[0] == "prepare-input-generation-params"
    assert stages[-1] == "cleanup-losses-generation"
    assert len(stages) == 13
    attempts = [each for each in ours if "lossline.attempt.id" in each.attributes]
    assert len(attempts) == len(platform.world.sub_tasks(platform.newest_run)) + 1
    assert len(ours) == 1 + len(stages) + len(attempts)
    spans = {each.span_id: each for each in collector.spans}
    for each in ours:
        above = spans[each.parent]
        # Their ids, not their times, make a tree of them; but what is below a run is not outside of it.
        assert above is request or above.start <= each.start <= each.end <= above.end, each


def test_an_attempt_says_who_executed_it_and_how_it_ended(
    platform: Platform, collector: Collector, traces: Traces
) -> None:
    platform.request()
    platform.work_off(lost=CHUNKS[1])
    traces.look()

    first, second = (each for each in collector.spans if each.name == CHUNKS[1])
    assert first.parent == second.parent == collector.named("generate-losses-chunk").span_id
    assert (first.attributes["lossline.attempt.outcome"], first.is_error) == (Cause.LOST, True)
    assert (second.attributes["lossline.attempt.outcome"], second.is_error) == ("completed", False)
    assert [each.attributes["lossline.attempt.number"] for each in (first, second)] == [1, 2]
    assert second.attributes["lossline.attempt.worker"] == "w1"
    assert list(second.events) == ["fetched", "step ended", "uploaded"]
    assert first.events == {}


def test_a_run_that_failed_says_where_and_the_one_that_goes_on_names_it(
    platform: Platform, collector: Collector, traces: Traces
) -> None:
    analysis = platform.request()
    platform.work_off(failing="generate-losses-output")
    platform.ask(f"analyses/{analysis['id']}/resume/")
    platform.work_off()
    traces.look()

    failed, resumed = (each for each in collector.spans if each.name == "run generate_and_run")
    assert (failed.is_error, resumed.is_error) == (True, False)
    assert resumed.links == [(failed.trace, failed.span_id)]
    assert collector.below(failed)[-1] == "generate-losses-output"
    # What was copied has been executed, and traced, before.
    assert collector.below(resumed)[0] == "generate-losses-output"


def test_a_trace_is_kept_until_it_has_arrived_and_then_never_sent_again(
    platform: Platform, collector: Collector, traces: Traces
) -> None:
    platform.request()
    platform.work_off()
    collector.status = 400

    assert not traces.look()
    assert collector.spans == []
    collector.status = 200
    assert traces.look()
    arrived = len(collector.spans)
    assert traces.look()

    assert len(collector.spans) == arrived > 0


@pytest.mark.parametrize("raises", [False, True])
def test_a_run_that_cannot_be_sent_holds_up_no_other(
    platform: Platform, collector: Collector, engine: Engine, raises: bool
) -> None:
    tried = []

    def picky(run: TracedRun) -> bool:
        tried.append(run.facts["id"])
        if raises and run.facts["id"] == 1:
            raise ValueError(run)
        return run.facts["id"] != 1

    analysis = platform.request()
    platform.work_off(failing="generate-losses-output")
    platform.ask(f"analyses/{analysis['id']}/resume/")
    platform.work_off()
    picked = Traces(engine, picky)

    assert not picked._tried()
    assert not picked._tried()
    assert tried == [1, 2, 1]


def test_who_dies_before_the_commit_has_sent_the_same_spans_as_who_comes_after(
    platform: Platform, collector: Collector, engine: Engine, traces: Traces
) -> None:
    class Killed(BaseException):
        pass

    def send_and_die(run: TracedRun) -> bool:
        traces._send(run)
        raise Killed

    platform.request()
    platform.work_off()

    with pytest.raises(Killed):
        Traces(engine, send_and_die).look()
    first = list(collector.spans)
    traces.look()

    assert collector.spans[len(first) :] == first


def test_a_run_is_sent_when_it_has_ended_and_not_for_ever(
    platform: Platform, collector: Collector, traces: Traces, engine: Engine
) -> None:
    platform.request()
    assert traces.look()
    platform.work_off()
    with engine.begin() as connection:
        connection.execute(update(Run).values(ended_at=Run.ended_at - timedelta(days=2)))

    assert traces.look()
    assert collector.spans == []


def test_an_attempt_without_an_end_ends_with_its_run(platform: Platform, collector: Collector, traces: Traces) -> None:
    platform.request()
    platform.work_off()
    with platform.world.engine.begin() as connection:
        connection.execute(update(Attempt).values(ended_at=None))

    assert traces.look()
    run = collector.named("run generate_and_run")
    assert all(each.end <= run.end for each in collector.spans)


def test_the_controller_sends_by_itself_and_what_has_ended_when_it_stops(
    platform: Platform, collector: Collector, engine: Engine, settings: Settings
) -> None:
    stopping = Event()
    platform.request()
    with traces_of(engine, replace(settings, traced=True)) as loops, threads(stopping, **loops):
        platform.work_off()
        stopping.set()

    assert collector.named("run generate_and_run").service == "lossline-task-controller"


def test_requests_are_called_by_their_route_and_those_of_machines_are_left_out(
    platform: Platform, collector: Collector, resources: ExitStack
) -> None:
    for path in ("/healthcheck/", "/metrics", "/v2/analyses/7/"):
        platform.api.get(path, headers={"X-Request-Id": "mine"})
    resources.close()

    seen = collector.named("GET /v2/analyses/<pk>/")
    assert (seen.attributes["url.path"], seen.attributes["lossline.request.id"]) == ("/v2/analyses/7/", "mine")
    assert not [each.name for each in collector.spans if "metrics" in each.name or "health" in each.name]


ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        (ENDPOINT | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (ENDPOINT | {"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_standard_variables_say_whether_there_are_traces(environ: dict[str, str], wanted: bool) -> None:
    assert traces_wanted(environ) is wanted


@pytest.mark.parametrize(
    "environ", [{"OTEL_TRACES_EXPORTER": "zipkin"}, ENDPOINT | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}]
)
def test_an_exporter_that_there_is_not_is_refused_by_its_name(environ: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match=next(reversed(environ))):
        traces_wanted(environ)


def test_without_an_exporter_nothing_of_it_is_loaded() -> None:
    program = (
        "import sys, services.api.__main__, services.task_controller.__main__ as controller;"
        "from services.task_controller.tracing import traces;"
        "settings = controller.Settings.read({});"
        "loops = traces(None, settings).__enter__();"
        "print(loops, [name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "{} []\n"
