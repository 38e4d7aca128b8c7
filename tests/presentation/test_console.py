"""What reaches a terminal, and what reaches a pipe."""

import io
from datetime import timedelta

import pytest
from rich.console import Console

from services.embedded.presentation.console import LiveProgress, render_losses, utc_now
from services.embedded.presentation.read_losses import read_losses


@pytest.fixture
def pipe():
    return Console(file=io.StringIO(), width=100, _environ={})


@pytest.fixture
def terminal():
    return Console(
        file=io.StringIO(),
        width=100,
        height=30,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        _environ={"TERM": "xterm-256color"},
    )


@pytest.fixture
def dumb_terminal():
    return Console(file=io.StringIO(), width=100, height=30, force_terminal=True, _environ={"TERM": "dumb"})


def text_of(console):
    return console.file.getvalue()


def test_a_pipe_gets_a_line_per_change_without_control_codes(pipe, analysis, row):
    with LiveProgress(pipe) as progress:
        progress.update(analysis, [row(1, "collect-keys", "STARTED", start=1)])
        progress.update(analysis, [row(1, "collect-keys", "STARTED", start=1)])
        progress.update(analysis, [row(1, "collect-keys", "COMPLETED", start=1, end=3)], {"collect-keys": "worker-1"})

    said = [line.split("] ", 1)[1] for line in text_of(pipe).splitlines()]
    assert said == [
        "demo: RUN_STARTED",
        "collect-keys started (0 of 1 completed)",
        "collect-keys completed after 2.0 s on worker-1 (1 of 1 completed)",
    ]
    assert "\x1b" not in text_of(pipe)
    assert "\r" not in text_of(pipe)


def test_a_terminal_that_cannot_redraw_gets_lines_too(dumb_terminal, analysis, row):
    with LiveProgress(dumb_terminal) as progress:
        progress.update(analysis, [row(1, "collect-keys", "STARTED", start=1)])

    assert "collect-keys started (0 of 1 completed)" in text_of(dumb_terminal)
    assert "\x1b" not in text_of(dumb_terminal)


def test_a_pipe_hears_of_waiting_once_until_it_changes(pipe):
    since = utc_now() - timedelta(seconds=42)
    with LiveProgress(pipe) as progress:
        progress.waiting("compiling numeric kernels", since)
        progress.waiting("compiling numeric kernels", since)
        progress.waiting("starting the database", since)

    assert text_of(pipe).splitlines() == [
        "compiling numeric kernels, 42 s so far",
        "starting the database, 42 s so far",
    ]


def test_names_that_look_like_markup_are_printed_as_they_are(pipe, analysis, row):
    with LiveProgress(pipe) as progress:
        progress.update({**analysis, "name": "[red]x[/red]"}, [row(1, "[bold]", "STARTED", start=1)])

    assert "[red]x[/red]: RUN_STARTED" in text_of(pipe)
    assert "[bold] started" in text_of(pipe)


def test_a_terminal_shows_sub_tasks_with_worker_retries_and_duration(terminal, analysis, row):
    with LiveProgress(terminal) as progress:
        progress.update(
            analysis, [row(1, "collect-keys", "COMPLETED", start=1, end=3, retries=2)], {"collect-keys": "worker-1"}
        )

    said = text_of(terminal)
    assert "demo: RUN_STARTED, 1 of 1 sub-task completed" in said
    for part in ("collect-keys", "worker-1", "2 retries", "2.0 s"):
        assert part in said


def test_a_terminal_shows_what_is_waited_for(terminal):
    with LiveProgress(terminal) as progress:
        progress.waiting("compiling numeric kernels", utc_now() - timedelta(seconds=42))
        progress._live.refresh()

        assert "compiling numeric kernels, 42 s so far" in text_of(terminal)


def test_the_display_is_taken_down_when_the_body_fails(terminal):
    with pytest.raises(RuntimeError, match="stop"), LiveProgress(terminal) as progress:
        raise RuntimeError("stop")

    assert not progress._live.is_started
    assert text_of(terminal).endswith("\x1b[?25h")  # the cursor is shown again


def test_loss_tables_hold_averages_and_losses_by_return_period(pipe, full_outputs):
    pipe.print(render_losses(read_losses(full_outputs.folder)))

    said = [" ".join(line.replace("│", " ").split()) for line in text_of(pipe).splitlines()]
    assert "Ground-up 120 30.00 samples" in said
    assert "Loss of the largest event (OEP) by return period (full uncertainty)" in said
    assert "250 2,500 1,250 833" in said
    assert said.count("250 2,500 1,250 833") == 2  # OEP and AEP


def test_loss_tables_say_what_is_missing(pipe, outputs):
    outputs.palt("gul_S1", "1,2,10.0,3.0")

    pipe.print(render_losses(read_losses(outputs.folder)))

    assert "Ground-up: no OEP curve (ept) in the outputs" in text_of(pipe)
    assert "Insured: not in the outputs" in text_of(pipe)
    assert "by return period" not in text_of(pipe)


def test_curves_of_many_summary_ids_are_cut_and_counted(pipe, outputs):
    outputs.ept("gul_S1", *(f"{i},2,1,100.0,{i}00.0" for i in range(1, 6)))

    pipe.print(render_losses(read_losses(outputs.folder)))

    assert "3 more curves in the outputs" in text_of(pipe)
