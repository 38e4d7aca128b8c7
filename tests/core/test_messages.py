"""The wire: every message there and back, what readers ignore, and what they refuse."""

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID, uuid4

import pytest

from shared import names
from shared.codec import Unreadable, from_json, from_plain, to_json, to_plain
from shared.core.inputs import FileRef, RunInputs
from shared.core.retries import Cause
from shared.messages.catalogue import AttemptFinished, Message, StartRun, Token
from shared.messages.envelope import MESSAGES, decode, encode
from shared.messages.parking import attempt_named_in, parked


def example(kind: Any) -> Any:
    """A value of the type with every field filled in."""
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{field.name: example(hints[field.name]) for field in fields(kind)})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return example(arguments[0])
    if origin is tuple:
        return (example(arguments[0]),) * 2
    if origin is Mapping:
        return {"one": example(arguments[1])}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return next(iter(kind))
    return EXAMPLES[kind]


EXAMPLES: dict[Any, Any] = {
    UUID: uuid4(),
    str: "Überschwemmung",
    int: 7,
    float: 2.5,
    bool: True,
    datetime: datetime(2026, 7, 31, 10, 0, 0, 123456, tzinfo=UTC),
    Any: {"deep": [1, None]},
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_arrives_as_it_was_sent(name: str) -> None:
    message = example(MESSAGES[name])
    assert decode(encode(message)) == message


def test_the_envelope_names_type_and_version() -> None:
    assert json.loads(encode(StartRun(5))) == {"type": "StartRun", "version": 1, "body": {"run_id": 5}}


def test_readers_ignore_fields_that_they_do_not_know() -> None:
    body = to_json({"type": "StartRun", "version": 1, "body": {"run_id": 5, "new": 1}, "trace": "x"})
    assert decode(body) == StartRun(5)


def test_fields_with_defaults_may_be_absent() -> None:
    attempt = uuid4()
    body = to_json({"type": "AttemptFinished", "version": 1, "body": {"attempt_id": str(attempt), "worker_id": "w"}})
    assert decode(body) == AttemptFinished(attempt, "w")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an envelope"),
        (b'{"type": "StartRun", "version": 1}', "not an envelope"),
        (b'{"type": "Message", "version": 1, "body": {}}', "no message is called 'Message'"),
        (b'{"type": null, "version": 1, "body": {}}', "no message is called None"),
        (b'{"type": "StartRun", "version": 2, "body": {"run_id": 1}}', "has version 1, not 2"),
        (b'{"type": "StartRun", "body": {"run_id": 1}}', "has version 1, not None"),
        (b'{"type": "StartRun", "version": 1, "body": {}}', "not a StartRun"),
        (b'{"type": "StartRun", "version": 1, "body": {"run_id": "x"}}', "not a StartRun"),
        (b'{"type": "AttemptSettled", "version": 1, "body": {"attempt_id": null}}', "not a AttemptSettled"),
        (b'{"type": "AttemptSettled", "version": 1, "body": {"attempt_id": 5}}', "not a AttemptSettled"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(body)


def test_moments_travel_in_utc() -> None:
    here = datetime(2026, 7, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    plain = to_plain(AttemptFinished(uuid4(), "w", started_at=here))
    assert plain["started_at"] == "2026-07-31T10:00:00+00:00"


def test_names_of_causes_travel_as_plain_text() -> None:
    envelope = json.loads(encode(AttemptFinished(uuid4(), "w", Cause.OUT_OF_MEMORY)))
    assert envelope["body"]["cause"] == "out of memory"


def test_inputs_of_a_run_survive_the_database() -> None:
    inputs = RunInputs({"location_file": FileRef("k", "n")}, (FileRef("d", "e"),), "EUR")
    assert from_plain(RunInputs, from_json(to_json(to_plain(inputs)))) == inputs


def test_a_parked_message_keeps_its_body_and_says_why() -> None:
    message = parked(b"\xff", "task-controller", "not JSON")
    assert (message.routing_key, message.body) == (names.PARKED_QUEUE, b"\xff")
    assert message.headers == {"queue": "task-controller", "reason": "not JSON"}


def test_an_unreadable_result_still_names_its_attempt() -> None:
    attempt = uuid4()
    broken = {"type": "AttemptFinished", "version": 9, "body": {"attempt_id": str(attempt), "worker_id": "w"}}
    assert attempt_named_in(to_json(broken)) == (attempt, "w")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"7",
        encode(Token("q")),
        b'{"type": "AttemptFinished"}',
        b'{"type": "AttemptFinished", "body": {"attempt_id": "x", "worker_id": "w"}}',
        b'{"type": "AttemptFinished", "body": {"attempt_id": 5, "worker_id": "w"}}',
        b'{"type": "AttemptFinished", "body": []}',
    ],
)
def test_other_unreadable_messages_name_none(body: bytes) -> None:
    assert attempt_named_in(body) is None


def test_every_message_is_in_the_catalogue_by_its_name() -> None:
    assert {name: kind.__name__ for name, kind in MESSAGES.items()} == {name: name for name in MESSAGES}
    assert Message not in MESSAGES.values()
