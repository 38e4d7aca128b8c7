"""The process tree, with real processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import psutil
import pytest

from services.embedded.backoff import Backoff
from services.embedded.errors import EmbeddedError, ServiceFailed
from services.embedded.process_tree import ProcessTree
from services.embedded.readiness import http_ready
from services.embedded.service_process import Death, Service
from tests.embedded.living import Command, are_gone, eventually

QUICK = Backoff(first=0.05, longest=0.2, reset_after=30)
SLEEP = "import signal; print('up', flush=True); signal.pause()"
# Says when it is asked to end; {0} is the file where all of them do.
POLITE = """
import signal, sys
def end(*_):
    with open(sys.argv[1], "a") as story: story.write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True: signal.pause()
"""


def service(tmp_path: Path, name: str, program: str = SLEEP, *arguments: str, **more: object) -> Service:
    """A service that is ready when its log says "up"."""
    log = tmp_path / f"{name}.log"
    settings = {"ready": lambda: log.exists() and "up" in log.read_text(), "ready_within": 20.0} | more
    argv = (sys.executable, "-S", "-c", program, *arguments)
    return Service(name=name, argv=argv, log=log, env=dict(os.environ), **settings)  # type: ignore[arg-type]


def test_a_killed_child_is_reported_with_its_signal_and_started_again(tmp_path: Path) -> None:
    deaths: list[Death] = []
    with ProcessTree(on_death=deaths.append, backoff=QUICK) as tree:
        # Given a service
        tree.start(service(tmp_path, "api"))
        first = tree.pids()["api"]
        # When it is killed
        os.kill(first, signal.SIGKILL)
        # Then its death is told, and another process takes its place
        eventually(lambda: tree.pids().get("api", first) != first)
    assert [(d.name, d.pid, d.exit_status, d.signal) for d in deaths] == [("api", first, None, signal.SIGKILL)]
    assert str(deaths[0]).startswith(f"api (process {first}) died with SIGKILL")


def test_deaths_are_further_and_further_apart(tmp_path: Path) -> None:
    # Given a service that dies with status 3 as soon as its readiness was seen
    deaths: list[Death] = []
    go = tmp_path / "go"
    program = f"import os, sys; print('up', flush=True); os.path.exists({str(go)!r}) and sys.exit(3); {SLEEP}"
    with ProcessTree(on_death=deaths.append, backoff=QUICK) as tree:
        tree.start(service(tmp_path, "worker", program))
        go.touch()
        os.kill(tree.pids()["worker"], signal.SIGTERM)
        eventually(lambda: len(deaths) >= 4)
    assert [d.restart_in for d in deaths[:4]] == [0.05, 0.1, 0.2, 0.2]
    assert [d.exit_status for d in deaths[:4]] == [None, 3, 3, 3]


def test_the_delay_is_forgotten_after_a_long_life() -> None:
    backoff = Backoff()
    assert backoff.after_death(None, 1) == 0.5
    assert backoff.after_death(0.5, 29.9) == 1.0
    assert backoff.after_death(8.0, 1) == 10.0
    assert backoff.after_death(10.0, 1) == 10.0
    assert backoff.after_death(10.0, 30) == 0.5


def test_what_a_dead_service_left_is_killed_before_its_restart(tmp_path: Path) -> None:
    # Given a service with a child of its own
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', {SLEEP!r}]); {SLEEP}"
    with ProcessTree(backoff=QUICK) as tree:
        tree.start(service(tmp_path, "api", program))
        first = tree.pids()["api"]
        grandchildren = psutil.Process(first).children()
        assert grandchildren
        # When the service is killed, then its child dies too
        os.kill(first, signal.SIGKILL)
        eventually(lambda: are_gone(grandchildren))


def test_groups_stop_in_order_and_the_rest_in_reverse(tmp_path: Path) -> None:
    story = tmp_path / "story"
    groups = {"database": "", "api": "api", "cache": "", "worker-1": "workers", "worker-2": "workers"}
    with ProcessTree(stop_order=["workers", "api"]) as tree:
        for name, group in groups.items():
            tree.start(service(tmp_path, name, POLITE, str(story), name, group=group))
    ended = story.read_text().split()
    assert set(ended[:2]) == {"worker-1", "worker-2"}
    assert ended[2:] == ["api", "cache", "database"]


def test_a_service_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"
    with ProcessTree() as tree:
        tree.start(service(tmp_path, "deaf", deaf, grace=0.2))
        process = psutil.Process(tree.pids()["deaf"])
    assert not process.is_running()
    tree.stop()  # again: nothing happens


def test_a_service_that_dies_at_its_start_is_shown_with_its_log(tmp_path: Path) -> None:
    with ProcessTree() as tree, pytest.raises(ServiceFailed, match=r"died with exit status 1(.|\n)*no such port"):
        tree.start(service(tmp_path, "api", "raise SystemExit('no such port')"))


def test_a_program_that_does_not_exist_is_shown(tmp_path: Path) -> None:
    absent = Service("api", ("/no/such/program",), tmp_path / "log", {}, ready=lambda: False)
    with ProcessTree() as tree, pytest.raises(ServiceFailed, match="No such file"):
        tree.start(absent)


def test_a_service_that_never_answers_is_shown_with_its_log(tmp_path: Path) -> None:
    mute = service(tmp_path, "api", SLEEP, ready=lambda: False, ready_within=0.3)
    with ProcessTree() as tree, pytest.raises(ServiceFailed, match=r"did not answer within 0\.3 s"):
        tree.start(mute)


def test_services_are_named_once_and_only_while_the_tree_runs(tmp_path: Path) -> None:
    with ProcessTree() as tree:
        tree.start(service(tmp_path, "api"))
        with pytest.raises(ValueError, match="already a service api"):
            tree.start(service(tmp_path, "api"))
    with pytest.raises(EmbeddedError, match="does not run"):
        tree.start(service(tmp_path, "late"))


def test_a_listener_that_fails_does_not_end_the_tree(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(death: Death) -> None:
        raise LookupError(death.name)

    with ProcessTree(on_death=fail, backoff=QUICK) as tree:
        tree.start(service(tmp_path, "api"))
        first = tree.pids()["api"]
        os.kill(first, signal.SIGKILL)
        eventually(lambda: tree.pids().get("api", first) != first)
    assert "a listener to deaths failed" in caplog.text


def test_secrets_in_the_environment_are_not_shown(tmp_path: Path) -> None:
    assert "hunter2" not in repr(Service("api", ("x",), tmp_path, {"PASSWORD": "hunter2"}))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells children of their parent's death")
def test_services_die_with_a_killed_command(tmp_path: Path, command: Callable[[str], Command]) -> None:
    parent = command(f"""
        import os, sys
        from pathlib import Path
        from services.embedded.process_tree import ProcessTree
        from services.embedded.service_process import Service
        tree = ProcessTree().__enter__()
        log = Path({str(tmp_path)!r}) / "log"
        argv = (sys.executable, "-S", "-c", {SLEEP!r})
        tree.start(Service("api", argv, log, dict(os.environ), ready=lambda: "up" in log.read_text()))
    """)
    children = psutil.Process(parent.process.pid).children()
    assert len(children) == 1
    parent.process.kill()
    eventually(lambda: are_gone(children))


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthcheck/?deep=1" else 503)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""


def test_http_readiness_needs_a_success() -> None:
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}"
        assert http_ready(f"{base}/healthcheck/?deep=1")()
        assert not http_ready(f"{base}/starting")()
        server.shutdown()
        thread.join()
    assert not http_ready(base)()
