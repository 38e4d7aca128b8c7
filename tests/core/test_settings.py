"""Settings from the environment, by the names of the reference."""

from pathlib import Path

import pytest

from shared.settings import BadSetting, Options, broker_url, database_url


def options(**environ: str) -> Options:
    """Options of the section TEST."""
    return Options("TEST", environ)


def test_an_option_of_the_section_wins_over_the_common_one() -> None:
    assert options(OASIS_TEST_NAME="mine", OASIS_NAME="all").get("NAME") == "mine"
    assert options(OASIS_NAME="all").get("NAME") == "all"
    assert options().get("NAME") is None


def test_text_that_is_empty_takes_the_default() -> None:
    assert options(OASIS_NAME="").text("NAME", "default") == "default"


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    assert options(OASIS_DB_PASS_FILE=str(file), OASIS_DB_PASS="other").secret("DB_PASS") == "s3cret"
    assert options(OASIS_DB_PASS="other").secret("DB_PASS") == "other"


@pytest.mark.parametrize(("text", "flag"), [("True", True), ("1", True), ("on", True), ("False", False), ("", False)])
def test_flags_are_read_as_people_write_them(text: str, flag: bool) -> None:
    assert options(OASIS_X=text).flag("X", default=not flag) is flag


@pytest.mark.parametrize("text", ["x", "", "1.5", "0"])
def test_a_number_that_cannot_be_used_names_its_variable(text: str) -> None:
    with pytest.raises(BadSetting, match=f"OASIS_PORT is '{text}': set it to a whole number from 1 on"):
        options(OASIS_PORT=text).integer("PORT", 5432, least=1)


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "soon"])
def test_a_duration_is_above_zero_and_finite(text: str) -> None:
    with pytest.raises(BadSetting, match="OASIS_LEASE"):
        options(OASIS_LEASE=text).seconds("LEASE", 10.0)


def test_a_flag_that_is_neither_yes_nor_no_is_refused() -> None:
    with pytest.raises(BadSetting, match="set it to True or False"):
        options(OASIS_X="maybe").flag("X", default=True)


def test_the_broker_is_put_together_from_its_parts() -> None:
    environ = {"OASIS_RABBIT_USER": "us@er", "OASIS_RABBIT_PASS": "p/w", "OASIS_RABBIT_HOST": "mq"}
    assert broker_url(environ) == "amqp://us%40er:p%2Fw@mq:5672/"
    assert broker_url({}) == "amqp://rabbit:rabbit@127.0.0.1:5672/"
    assert broker_url({"OASIS_CELERY_BROKER_URL": "amqps://x/"} | environ) == "amqps://x/"


def test_the_database_is_found_by_host_or_by_the_folder_of_its_socket() -> None:
    by_host = database_url({"OASIS_SERVER_DB_HOST": "db", "OASIS_SERVER_DB_PASS": "p@ss"})
    assert by_host.render_as_string(hide_password=False) == "postgresql+psycopg://lossline:p%40ss@db:5432/lossline"
    by_folder = database_url({"OASIS_SERVER_DB_HOST": "/run/pg"})
    assert (by_folder.host, by_folder.port, by_folder.query["host"]) == (None, None, "/run/pg")


def test_secrets_are_not_shown() -> None:
    assert "s3cret" not in repr(options(OASIS_DB_PASS="s3cret"))


@pytest.mark.parametrize(
    ("text", "size"), [("500M", 500 * 2**20), ("2GiB", 2**31), ("1.5 gb", 3 * 2**29), ("1024", 1024), ("0", None)]
)
def test_sizes_are_read_as_people_write_them(text: str, size: int | None) -> None:
    assert options(OASIS_X=text).size("X", 7) == size
    assert options().size("X", 7) == 7


@pytest.mark.parametrize("text", ["much", "-1", "2 X", ""])
def test_a_size_that_cannot_be_used_names_its_variable(text: str) -> None:
    with pytest.raises(BadSetting, match="OASIS_X"):
        options(OASIS_X=text).size("X", None)


def test_a_duration_may_be_switched_off() -> None:
    assert options(OASIS_X="0").seconds_or_never("X", 5.0) is None
    assert options(OASIS_X="2.5").seconds_or_never("X", 5.0) == 2.5
    assert options().seconds_or_never("X", 5.0) == 5.0
    for text in ("-1", "nan", "soon"):
        with pytest.raises(BadSetting, match="0 for never"):
            options(OASIS_X=text).seconds_or_never("X", 5.0)
