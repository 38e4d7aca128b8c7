"""`lossline user`: accounts and groups of a running platform, by the command itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, select
from sqlalchemy.orm import Session

from services.embedded import __main__ as command
from shared.database.accounts import AuditEntry
from shared.database.resources import User
from shared.passwords import verify_password

pytestmark = pytest.mark.integration


class Command:
    """The command, with a platform that the environment names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Exit status, and what it said."""
        self._monkeypatch.setattr("sys.argv", ["lossline", "user", *arguments])
        status = command.main()
        said = self._capsys.readouterr()
        return status, said.out + said.err


@pytest.fixture
def lossline_user(environ: pytest.MonkeyPatch, database: URL, capsys: pytest.CaptureFixture[str]) -> Command:
    environ.setenv("OASIS_SERVER_DB_HOST", str(database.query.get("host") or database.host))
    environ.setenv("OASIS_SERVER_DB_NAME", str(database.database))
    environ.setenv("OASIS_SERVER_DB_USER", str(database.username))
    environ.setenv("OASIS_SERVER_DB_PASS", database.password or "")
    if database.port:
        environ.setenv("OASIS_SERVER_DB_PORT", str(database.port))
    environ.setenv("COLUMNS", "200")
    return Command(environ, capsys)


@pytest.fixture
def password(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text("correct horse\n")
    return str(path)


def find(engine: Engine, username: str) -> User:
    with Session(engine) as session:
        return session.scalars(select(User).where(User.username == username)).one()


def test_an_account_is_made_with_its_groups(lossline_user: Command, engine: Engine, password: str) -> None:
    status, said = lossline_user("add", "ada", "--group", "reds", "--group", "blues", "--password-file", password)

    assert (status, said) == (0, "Made the account ada.\n")
    user = find(engine, "ada")
    assert verify_password(user.password_hash, "correct horse")
    assert (user.is_staff, user.is_superuser, user.is_service) == (False, False, False)
    assert lossline_user("groups", "ada") == (0, "blues, reds\n")


def test_a_service_gets_a_password_that_is_shown_once(lossline_user: Command, engine: Engine) -> None:
    status, said = lossline_user("add", "worker-controller", "--service", "--admin")

    generated = said.split("Password: ")[1].split("\n")[0]
    user = find(engine, "worker-controller")
    assert status == 0
    assert len(generated) >= 32
    assert verify_password(user.password_hash, generated)
    assert (user.is_service, user.is_superuser, user.is_staff) == (True, True, True)


def test_accounts_are_listed(lossline_user: Command, password: str) -> None:
    lossline_user("add", "ada", "--staff", "--group", "reds", "--password-file", password)
    lossline_user("add", "bob", "--password-file", password)
    lossline_user("disable", "bob")

    _, table = lossline_user("list")
    _, text = lossline_user("list", "--json")

    assert [line.split() for line in table.splitlines() if "ada" in line or "bob" in line] == [
        ["ada", "staff", "reds"],
        ["bob", "user,", "closed"],
    ]
    assert json.loads(text)[0] == {
        "username": "ada",
        "is_active": True,
        "is_staff": True,
        "is_superuser": False,
        "is_service": False,
        "groups": ["reds"],
    }


def test_a_new_password_ends_what_the_old_one_opened(
    lossline_user: Command, engine: Engine, password: str, tmp_path: Path
) -> None:
    lossline_user("add", "ada", "--password-file", password)
    (tmp_path / "new").write_text("battery staple")

    assert lossline_user("passwd", "ada", "--password-file", str(tmp_path / "new"))[0] == 0

    user = find(engine, "ada")
    assert verify_password(user.password_hash, "battery staple")
    assert user.token_generation == 1


def test_groups_are_set_added_and_left(lossline_user: Command, password: str) -> None:
    lossline_user("add", "ada", "--password-file", password)

    assert lossline_user("groups", "ada") == (0, "ada is a member of no group.\n")
    assert lossline_user("groups", "ada", "reds", "blues") == (0, "blues, reds\n")
    assert lossline_user("groups", "ada", "--add", "greens", "--remove", "reds") == (0, "blues, greens\n")
    assert lossline_user("groups", "ada", "--remove", "blues", "--remove", "greens")[0] == 0
    assert lossline_user("groups", "ada") == (0, "ada is a member of no group.\n")


def test_a_closed_account_has_no_tokens_left_and_can_be_opened(
    lossline_user: Command, engine: Engine, password: str
) -> None:
    lossline_user("add", "ada", "--password-file", password)

    lossline_user("disable", "ada")
    closed = find(engine, "ada")
    lossline_user("enable", "ada")

    assert (closed.is_active, closed.token_generation) == (False, 1)
    assert find(engine, "ada").is_active


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("passwd", "nobody", "--generate"), "There is no account 'nobody'"),
        (("groups", "nobody"), "There is no account 'nobody'"),
        (("disable", "nobody"), "There is no account 'nobody'"),
        (("add", "ada", "--generate"), "There is an account 'ada' already"),
        (("add", " ", "--generate"), "cannot be the name of an account"),
        (("add", "a:b", "--generate"), "cannot be the name of an account"),
        (("add", "x" * 151, "--generate"), "cannot be the name of an account"),
        (("groups", "ada", ""), "cannot be the name of a group"),
        (("groups", "ada", "reds", "--add", "blues"), "not both"),
        (("add", "bob", "--password-file", "/no/such/file"), "cannot be read from /no/such/file"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence_and_changes_nothing(
    lossline_user: Command, engine: Engine, password: str, arguments: tuple[str, ...], sentence: str
) -> None:
    lossline_user("add", "ada", "--group", "reds", "--password-file", password)

    status, said = lossline_user(*arguments)

    assert status == 1
    assert sentence in said
    with Session(engine) as session:
        assert session.scalars(select(User.username)).all() == ["ada"]
    assert lossline_user("groups", "ada") == (0, "reds\n")


def test_a_short_password_is_refused(lossline_user: Command, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("short")

    assert lossline_user("add", "ada", "--password-file", str(tmp_path / "short")) == (
        1,
        "A password has at least 8 characters.\n",
    )


def test_what_is_done_is_in_the_audit(lossline_user: Command, engine: Engine, password: str) -> None:
    lossline_user("add", "ada", "--password-file", password)
    lossline_user("groups", "ada", "reds")
    lossline_user("disable", "ada")

    with Session(engine) as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [each.action for each in entries] == ["create", "change groups", "disable"]
    assert {(each.username, each.resource, each.resource_id) for each in entries} == {
        ("lossline user", "accounts", find(engine, "ada").id)
    }


def test_a_database_that_does_not_answer_is_one_sentence(lossline_user: Command, environ: pytest.MonkeyPatch) -> None:
    environ.setenv("OASIS_SERVER_DB_NAME", "there_is_none")

    status, said = lossline_user("list")

    assert status == 1
    assert "there_is_none" in said
