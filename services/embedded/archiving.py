"""The commands `lossline backup` and `lossline restore`: from files, or through pipes."""

import logging
import os
import sys
from pathlib import Path

import typer

from services.embedded.archive import BackupFailed, backup, restore
from services.embedded.errors import EmbeddedError
from services.embedded.reach import find_platform
from shared.object_store.files import replacing

_PIPE = Path("-")


class NoTerminal(EmbeddedError):
    """An archive is nothing for a terminal: name a file, or lead it elsewhere."""


def backup_to(file: Path) -> None:
    """The file appears only when it is complete. Raises EmbeddedError."""
    _quiet()
    reach = find_platform(os.environ)
    if file == _PIPE:
        if sys.stdout.isatty():
            raise NoTerminal
        backup(reach, sys.stdout.buffer, _say)
        return
    try:
        with replacing(file) as target:
            backup(reach, target, _say)
    except OSError as error:
        raise BackupFailed(f"{file} cannot be written: {error}") from error


def restore_from(file: Path, replace: bool) -> None:
    """Raises EmbeddedError."""
    _quiet()
    reach = find_platform(os.environ)
    if file == _PIPE:
        restore(reach, sys.stdin.buffer, _say, replace=replace)
        return
    try:
        with file.open("rb") as source:
            restore(reach, source, _say, replace=replace)
    except OSError as error:
        raise BackupFailed(f"{file} cannot be read: {error}") from error


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)  # standard output may be the archive


def _quiet() -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
