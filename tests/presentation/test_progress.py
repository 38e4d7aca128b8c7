"""Lines and sentences of progress, from the API's JSON."""

import pytest

from services.embedded.presentation.formats import amount, count, duration, years
from services.embedded.presentation.progress import changes, headline, lines, read_snapshot, waiting_sentence


@pytest.fixture
def rows(row):
    chunks = [row(10 + i, f"generate-losses-chunk-{i}", "QUEUED") for i in range(8)]
    chunks[0] = row(10, "generate-losses-chunk-0", "COMPLETED", start=10, end=14.5)
    chunks[1] = row(11, "generate-losses-chunk-1", "STARTED", start=12, retries=1)
    return [
        row(1, "prepare-losses-generation-params", "COMPLETED", start=1, end=2),
        row(2, "prepare-losses-generation-directory", "COMPLETED", start=2, end=9),
        *chunks,
        row(30, "generate-losses-output", "PENDING"),
        row(31, "record-losses-files", "PENDING"),
        row(32, "cleanup-losses-generation", "PENDING"),
    ]


def test_every_sub_task_has_a_line_while_there_is_room(analysis, rows, now):
    snapshot = read_snapshot(analysis, rows, {"generate-losses-chunk-1": "worker-2"})

    found = {line.label: line for line in lines(snapshot, now, limit=13)}

    assert len(found) == 13
    assert (found["generate-losses-chunk-0"].state, found["generate-losses-chunk-0"].seconds) == ("completed", 4.5)
    running = found["generate-losses-chunk-1"]
    assert (running.state, running.worker, running.seconds, running.retries) == ("started", "worker-2", 13.0, 1)
    assert found["record-losses-files"].seconds is None


def test_chunks_fold_into_a_line_per_stage_when_the_terminal_is_short(analysis, rows, now):
    found = lines(read_snapshot(analysis, rows), now, limit=12)

    assert [line.label for line in found] == [
        "prepare-losses-generation-params",
        "prepare-losses-generation-directory",
        "generate-losses-chunk x 8",
        "generate-losses-output",
        "record-losses-files",
        "cleanup-losses-generation",
    ]
    assert (found[2].state, found[2].seconds, found[2].retries) == ("started, 1 of 8", 15.0, 1)


def test_only_stages_around_the_present_are_left_on_a_very_short_terminal(analysis, rows, now):
    found = lines(read_snapshot(analysis, rows), now, limit=4)

    assert [line.label for line in found] == [
        "1 earlier stage",
        "prepare-losses-generation-directory",
        "generate-losses-chunk x 8",
        "3 later stages",
    ]


@pytest.mark.parametrize("limit", [1, 3, 4, 5, 6, 12, 13, 50])
@pytest.mark.parametrize("ended", range(14))
def test_lines_never_exceed_the_limit_and_lose_no_sub_task(analysis, row, now, limit, ended):
    slugs = ["a", "b", *(f"chunk-{i}" for i in range(8)), "c", "d", "e"]
    rows = [row(i, slug, "COMPLETED" if i < ended else "PENDING") for i, slug in enumerate(slugs)]

    found = lines(read_snapshot(analysis, rows), now, limit)

    assert len(found) <= max(limit, 3)
    assert sum(line.members for line in found) == 13
    assert sum(line.completed for line in found) == ended


@pytest.mark.parametrize(
    ("statuses", "common"),
    [
        (("COMPLETED", "COMPLETED"), "COMPLETED"),
        (("COMPLETED", "QUEUED"), "STARTED"),
        (("PENDING", "QUEUED"), "QUEUED"),
        (("STARTED", "ERROR"), "ERROR"),
        (("CANCELLED", "COMPLETED"), "CANCELLED"),
    ],
)
def test_a_folded_stage_shows_its_loudest_status(analysis, row, now, statuses, common):
    rows = [row(i, f"prepare-keys-file-{i}", status) for i, status in enumerate(statuses)]

    (line,) = lines(read_snapshot(analysis, [*rows], None), now, limit=1)

    assert line.status == common


def test_changes_are_told_once_and_in_one_sentence_each(analysis, rows, row, now):
    before = read_snapshot(analysis, rows)
    rows[3] = row(11, "generate-losses-chunk-1", "COMPLETED", start=12, end=20, retries=1)
    rows[4] = row(12, "generate-losses-chunk-2", "STARTED", start=20)
    after = read_snapshot(analysis, rows, {"generate-losses-chunk-1": "worker-1"})

    assert changes(before, after, now) == [
        "[25 s] generate-losses-chunk-1 completed after 8.0 s on worker-1 with 1 retry (4 of 13 completed)",
        "[25 s] generate-losses-chunk-2 started (4 of 13 completed)",
    ]
    assert changes(after, after, now) == []


def test_a_retry_and_the_status_of_the_analysis_are_told(analysis, row, now):
    before = read_snapshot(analysis, [row(1, "collect-keys", "STARTED", start=1)])
    ended = {**analysis, "status": "RUN_COMPLETED", "task_finished": analysis["task_started"]}
    after = read_snapshot(ended, [row(1, "collect-keys", "QUEUED", retries=1)])

    assert changes(before, after, now) == [
        "[0.0 s] demo: RUN_COMPLETED",
        "[0.0 s] collect-keys queued with 1 retry (0 of 1 completed)",
    ]


def test_the_rows_of_a_later_run_are_new_sub_tasks(analysis, row, now):
    before = read_snapshot(analysis, [row(1, "collect-keys", "COMPLETED", start=1, end=2)])
    after = read_snapshot(analysis, [row(2, "collect-keys", "COMPLETED", start=5, end=8)])

    assert changes(before, after, now) == ["[25 s] collect-keys completed after 3.0 s (1 of 1 completed)"]


def test_headline_and_waiting_say_how_far_and_how_long(analysis, rows, now):
    assert headline(read_snapshot(analysis, rows), now) == "demo: RUN_STARTED, 3 of 13 sub-tasks completed, 25 s"
    assert waiting_sentence("compiling numeric kernels", 42) == "compiling numeric kernels, 42 s so far"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (-1, "0.0 s"),
        (9.97, "10 s"),
        (42.4, "42 s"),
        (59.7, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.8, "1 h 00 min"),
        (7620, "2 h 07 min"),
    ],
)
def test_durations_are_written_for_people(seconds, words):
    assert duration(seconds) == words


def test_amounts_years_and_counts_are_written_for_people():
    assert [amount(value) for value in (None, 0, 1234567.8, 12.345, -250)] == ["n/a", "0", "1,234,568", "12.35", "-250"]
    assert [years(value) for value in (250.0, 1000 / 3, 10000)] == ["250", "333.3", "10,000"]
    assert [count(number, "retry") for number in (0, 1, 2)] == ["0 retries", "1 retry", "2 retries"]
