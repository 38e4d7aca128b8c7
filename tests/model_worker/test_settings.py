"""What a worker makes of its environment, and how it refuses one that it cannot work with."""

import subprocess
import sys

import pytest

from services.model_worker.memory import MemoryLimit
from services.model_worker.settings import Settings, without_secrets
from services.model_worker.watchdog import Patience
from tests.model_worker.bench import ROOT, Bench


def test_the_durations_and_slots_come_from_the_environment(still: Bench) -> None:
    settings = Settings.read(still.environ(3, OASIS_WORKER_DRAIN_FOR="7.5", OASIS_SELF_FENCE="9"))
    assert (settings.slots, settings.drain_for, settings.self_fence, settings.stop_grace) == (3, 7.5, 9.0, 1.0)
    assert settings.queue == still.queue


def test_the_limits_of_attempts_come_from_the_environment(still: Bench) -> None:
    limits = {"MEMORY_PER_SLOT": "2GiB", "LOG_LIMIT": "1M", "STALLED_AFTER": "60", "DEADLINE": "7200"}
    settings = Settings.read(still.environ(3, **{f"OASIS_WORKER_{name}": value for name, value in limits.items()}))
    assert settings.memory == MemoryLimit(2 * 1024**3, 3)
    assert settings.patience == Patience(60.0, 7200.0)
    assert settings.log_limit == 1024**2


def test_the_limits_of_attempts_can_be_switched_off(still: Bench) -> None:
    names = ("MEMORY_PER_SLOT", "LOG_LIMIT", "STALLED_AFTER", "DEADLINE")
    settings = Settings.read(still.environ(3, **{f"OASIS_WORKER_{name}": "0" for name in names}))
    assert (settings.memory.per_slot, settings.log_limit, settings.patience) == (None, None, Patience())


def test_secrets_are_neither_shown_nor_handed_on(still: Bench) -> None:
    settings = Settings.read(still.environ(1, OASIS_SERVER_DB_PASS="hush", oasis_secret="hush"))
    assert "guest:guest" not in repr(settings)
    assert "hush" not in repr(settings)
    assert not {"hush", still.broker} & set(settings.step_environ.values())


@pytest.mark.parametrize(
    "name",
    [
        "OASIS_BROKER_URL",
        "OASIS_CELERY_BROKER_URL",
        "OASIS_RABBIT_PASS",
        "OASIS_RABBIT_PASS_FILE",
        "OASIS_AWS_ACCESS_KEY_ID",
        "OASIS_AWS_SECRET_ACCESS_KEY",
        "OASIS_AWS_SECURITY_TOKEN",
        "AWS_SESSION_TOKEN",
        "OASIS_SERVER_DB_HOST",
        "PGPASSWORD",
        "db_password",
    ],
)
def test_a_variable_of_this_name_is_kept_from_model_code(name: str) -> None:
    assert without_secrets({name: "x", "PATH": "/bin", "OASIS_MODEL_ID": "M"}) == {
        "PATH": "/bin",
        "OASIS_MODEL_ID": "M",
    }


def test_a_worker_of_v1_takes_one_job_at_a_time_from_the_queue_without_v2(still: Bench) -> None:
    chosen = {"OASIS_CELERY_CONCURRENCY": "4"}
    one = Settings.read(still.environ() | chosen | {"OASIS_RUN_MODE": "v1"})
    two = Settings.read(still.environ() | chosen | {"OASIS_RUN_MODE": "v2"})
    assert (one.slots, two.slots) == (1, 4)
    assert two.queue == f"{one.queue}-v2"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"OASIS_MODEL_ID": ""}, "OASIS_MODEL_ID"),
        ({"OASIS_RUN_MODE": "v3"}, "OASIS_RUN_MODE"),
        ({"OASIS_CELERY_CONCURRENCY": "none"}, "OASIS_CELERY_CONCURRENCY"),
        ({"OASIS_CELERY_CONCURRENCY": "0"}, "OASIS_CELERY_CONCURRENCY"),
        ({"OASIS_WORKER_DRAIN_FOR": "-1"}, "OASIS_WORKER_DRAIN_FOR"),
        ({"OASIS_STORAGE_TYPE": "tape"}, "STORAGE_TYPE"),
        ({"OASIS_MODEL_DATA_DIRECTORY": "/nowhere"}, "oasislmf.json"),
        ({"OASIS_MODEL_SETTINGS_FILE": "/nowhere.json"}, "/nowhere.json"),
    ],
)
def test_a_bad_setting_ends_with_status_2_and_one_sentence(still: Bench, change: dict[str, str], said: str) -> None:
    done = run(still, change)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert said in done.stderr
    assert not (still.folder / "run").exists()


def test_model_settings_that_are_no_json_end_with_status_2_and_one_sentence(still: Bench) -> None:
    path = still.model.path / "meta-data" / "model_settings.json"
    path.write_text("{")
    done = run(still, {})
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert str(path) in done.stderr


def run(bench: Bench, change: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services.model_worker"],
        cwd=ROOT,
        env=bench.environ() | change,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
