"""What the commands `lossline doctor` and `lossline parked …` do. Each returns its exit status."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from services.embedded.doctor.examination import examine
from services.embedded.errors import EmbeddedError
from services.embedded.parked import MOST, ParkedMessage, ParkedMessages
from services.embedded.presentation.diagnosis import diagnosis_json, diagnosis_lines
from services.embedded.presentation.formats import count
from services.embedded.presentation.parked import (
    parked_summary,
    parked_table,
    parked_text,
    replay_line,
    short_name,
    visible,
)
from services.embedded.reach import broker_place, find_platform
from shared.broker.errors import BrokerError
from shared.broker.library_logs import silence_libraries
from shared.broker.pika_client import BlockingBroker

_CONNECT = 10.0


class BrokerFails(EmbeddedError):
    """The broker of the platform did not do what was asked."""


class Unchosen(EmbeddedError):
    """Say which messages: their numbers or ids, or --all, not both."""


def doctor(api: str | None, as_json: bool, console: Console) -> int:
    """0 when nothing is wrong, else 1."""
    quiet()
    reach = find_platform(os.environ, api)
    diagnosis = examine(reach)
    if as_json:
        sys.stdout.write(diagnosis_json(diagnosis, reach.said) + "\n")
    else:
        for line in diagnosis_lines(diagnosis, reach.said):
            console.print(line, soft_wrap=True)
    return 0 if diagnosis.is_healthy else 1


def list_parked(limit: int, console: Console) -> int:
    """A table of what is parked."""
    with _parked(limit) as held:
        messages, total = held.messages, held.total
    if messages:
        console.print(parked_table(messages))
    if total > len(messages) and len(messages) < limit:
        console.print(f"{count(total - len(messages), 'message')} held by another command.")
    console.print(parked_summary(total, len(messages)) if total else "Nothing is parked.")
    return 0


def show_parked(which: str, raw: bool, console: Console) -> int:
    """One message as a whole; raw, the very bytes of its body and nothing else."""
    with _parked() as held:
        chosen = held.select([which])
    for message in chosen:
        if raw:
            sys.stdout.buffer.write(message.delivery.body)
        else:
            console.print(parked_text(message), markup=False, highlight=False, soft_wrap=True)
    return 0


def replay_parked(which: Sequence[str], everything: bool, console: Console) -> int:
    """Publish messages again where they came from; 1 when some had to stay."""
    with _parked() as held:
        replays = held.replay(_chosen(held, which, everything))
    for replay in replays:
        _say(console, replay_line(replay))
    if not replays:
        console.print("Nothing is parked.")
    return 1 if any(replay.problem for replay in replays) else 0


def drop_parked(which: Sequence[str], everything: bool, sure: bool, console: Console) -> int:
    """Remove messages for good; without `sure` only say which, and 1."""
    with _parked() as held:
        chosen = _chosen(held, which, everything)
        if sure:
            held.drop(chosen)
    for message in chosen:
        _say(console, f"{'Dropped' if sure else 'Would drop'} {short_name(message)}: {message.reason}")
    if not chosen:
        console.print("Nothing is parked.")
    elif not sure:
        console.print("Nothing was dropped; say --yes to drop for good.")
    return 0 if sure or not chosen else 1


def quiet() -> None:
    """What the broker's adapter would log is in what the command says."""
    silence_libraries()
    logging.getLogger("shared.broker").setLevel(logging.CRITICAL)


@contextmanager
def _parked(limit: int = MOST) -> Iterator[ParkedMessages]:
    quiet()
    reach = find_platform(os.environ)
    try:
        with BlockingBroker(reach.broker, "lossline-parked") as broker:
            broker.wait_connected(_CONNECT)
            with ParkedMessages(broker, limit) as held:
                yield held
    except BrokerError as error:
        raise BrokerFails(f"The broker at {broker_place(reach.broker)} fails: {error}") from error


def _chosen(held: ParkedMessages, which: Sequence[str], everything: bool) -> tuple[ParkedMessage, ...]:
    if everything == bool(which):
        raise Unchosen
    return held.messages if everything else held.select(which)


def _say(console: Console, line: str) -> None:
    console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
