"""What the commands `lossline user …` do, each in one transaction with the database of a running platform."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

import typer
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from services.embedded import accounts
from services.embedded.errors import EmbeddedError
from services.embedded.presentation.accounts import accounts_json, accounts_table
from services.embedded.reach import database_place, find_platform
from shared.database.engine import open_engine

_RANDOM_BYTES = 24


class DatabaseFails(EmbeddedError):
    """The database of the platform did not do what was asked."""


class Unchosen(EmbeddedError):
    """Name the groups that the account is to have, or --add and --remove some, not both."""


@dataclass(frozen=True)
class Password:
    """Where a password comes from: made here, read from a file, or else asked for."""

    generated: bool
    file: Path | None

    def obtain(self) -> str:
        """The password. Raises BadAccount where it cannot be read."""
        if self.generated:
            return token_urlsafe(_RANDOM_BYTES)
        if self.file is None:
            return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
        try:
            text = sys.stdin.read() if str(self.file) == "-" else self.file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise accounts.BadAccount(f"The password cannot be read from {self.file}: {error}") from error
        return text.split("\n", 1)[0].rstrip("\r")


def add_account(name: str, kind: accounts.Kind, groups: Sequence[str], password: Password) -> None:
    """Make an account; a password that was made here is shown, once it counts."""
    text = password.obtain()
    with _transaction() as session:
        accounts.add(session, name, text, kind, groups)
    _say(f"Made the account {name}.", *([f"Password: {text}"] if password.generated else []))


def list_accounts(as_json: bool) -> None:
    """All accounts."""
    with _transaction() as session:
        found = accounts.people(session)
    if as_json:
        sys.stdout.write(accounts_json(found) + "\n")
    else:
        Console().print(accounts_table(found))


def set_password(name: str, password: Password) -> None:
    """A new password, which ends what the old one opened."""
    text = password.obtain()
    with _transaction() as session:
        accounts.set_password(session, name, text)
    _say(f"Set the password of {name}.", *([f"Password: {text}"] if password.generated else []))


def change_groups(name: str, wanted: Sequence[str], added: Sequence[str], removed: Sequence[str]) -> None:
    """Show the groups, changed as is wanted. Raises Unchosen."""
    if wanted and (added or removed):
        raise Unchosen
    with _transaction() as session:
        now = accounts.groups_of(session, name)
        changed = sorted(set(wanted) or ({*now, *added} - {*removed}))
        if changed != sorted(now):
            accounts.set_groups(session, name, changed)
    _say(", ".join(changed) or f"{name} is a member of no group.")


def set_active(name: str, active: bool) -> None:
    """Open or close an account."""
    with _transaction() as session:
        accounts.set_active(session, name, active)
    _say(f"{'Opened' if active else 'Closed'} the account {name}.")


@contextmanager
def _transaction() -> Iterator[Session]:
    reach = find_platform(os.environ)
    engine = open_engine(reach.database, name="lossline-user", pool_size=1)
    try:
        with Session(engine) as session, session.begin():
            yield session
    except SQLAlchemyError as error:
        raise DatabaseFails(f"The database {database_place(reach.database)} fails: {error}") from error
    finally:
        engine.dispose()


def _say(*lines: str) -> None:
    for line in lines:
        Console().print(line, markup=False, highlight=False, soft_wrap=True)
