"""The generated pages are committed as the code says them."""

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from docs.generate import PAGES, main, outdated, write
from docs.lifecycle_page import MACHINES
from docs.markdown import state_diagram, table
from docs.messages_page import carried_values, messages_page
from docs.routes import ROUTES, WORKER_QUEUE, Kind, Way
from services.model_worker import control
from services.task_controller import handlers
from shared import names
from shared.messages.catalogue import AttemptFinished, CanarySent, ClaimAnswered, FileRef, Grant, StopRun, WorkerBeat
from shared.messages.envelope import MESSAGES


class Light(StrEnum):
    """States and events of an example."""

    RED = "red"
    FLASHING = "red-amber"
    GREEN = "green"


def test_the_committed_pages_are_what_the_code_says():
    assert not outdated(), "run python -m docs.generate, and commit what it writes"


def test_an_outdated_page_is_found_and_written_anew(tmp_path: Path):
    write(tmp_path)
    assert not outdated(tmp_path)

    (tmp_path / "messages.md").write_text("something else")

    assert outdated(tmp_path) == [tmp_path / "messages.md"]
    assert write(tmp_path) == [tmp_path / "messages.md"]
    assert not outdated(tmp_path)


def test_checking_fails_on_an_outdated_page_and_names_it(tmp_path: Path, monkeypatch, capsys):
    page = tmp_path / "messages.md"
    monkeypatch.setattr("docs.generate.outdated", lambda: [page])

    assert main(["--check"]) == 1
    assert str(page) in capsys.readouterr().err
    assert not page.exists()


def test_a_diagram_has_every_row_of_its_table():
    rows: Mapping[tuple[Light, Light], Light] = {
        (Light.RED, Light.GREEN): Light.FLASHING,
        (Light.RED, Light.RED): Light.FLASHING,
        (Light.FLASHING, Light.GREEN): Light.GREEN,
    }

    assert state_diagram(rows).splitlines() == [
        "```mermaid",
        "stateDiagram-v2",
        '    state "red-amber" as red_amber',
        "    [*] --> red",
        "    red --> red_amber: green, red",
        "    red_amber --> green: green",
        "    green --> [*]",
        "```",
    ]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.title)
def test_every_event_of_a_state_machine_is_on_the_page(machine: Any):
    page = PAGES["lifecycle.md"]()

    assert all(str(event) in page and str(state) in page for state, event in machine.transitions)


def test_a_bar_in_a_cell_does_not_end_the_cell():
    assert table(("type",), [("str | None",)]).splitlines()[2] == "| str \\| None |"


def test_every_message_and_each_of_its_fields_is_on_the_page():
    page = messages_page()

    for name, kind in MESSAGES.items():
        section = page.split(f"## {name}\n")[1].split("\n## ")[0]
        assert all(f"| {field.name} |" in section for field in fields(kind))


def test_the_values_inside_messages_are_explained_too():
    assert {Grant, FileRef} <= set(carried_values())


def test_every_message_has_a_route():
    assert set(ROUTES) == set(MESSAGES.values())


def test_what_the_task_controller_handles_travels_on_its_queue():
    assert set(handlers.HANDLERS) == {
        kind for kind, route in ROUTES.items() if route.queue == names.TASK_CONTROLLER_QUEUE
    }


def test_what_workers_handle_travels_to_them():
    to_workers = (WORKER_QUEUE, names.CONTROL_EXCHANGE)

    assert set(control.HANDLERS) == {kind for kind, route in ROUTES.items() if route.queue in to_workers}


def test_heartbeats_and_canaries_share_the_queue_of_heartbeats():
    assert {WorkerBeat, CanarySent} == {kind for kind, route in ROUTES.items() if route.queue == names.HEARTBEAT_QUEUE}


def test_events_are_named_in_the_past_tense_and_commands_are_not():
    told = {kind.__name__ for kind, route in ROUTES.items() if route.kind is Kind.EVENT}
    past = {name for name in MESSAGES if name.endswith(("ed", "Sent"))}

    assert told - {"Token", "WorkerBeat"} == past


def test_answers_do_not_take_the_way_of_the_outbox():
    assert ROUTES[ClaimAnswered].way is Way.DIRECT
    assert ROUTES[AttemptFinished].way is Way.DIRECT
    assert ROUTES[StopRun].way is Way.OUTBOX
