"""What clients may say. Source: oasis_api.md section 5. No I/O."""

import json
from dataclasses import dataclass
from typing import Any

from services.api.queue_status.message import FILTERED


class NotJson(Exception):
    """The message is not JSON."""


class BadQuestion(Exception):
    """A message that cannot be answered; `kind` is the type that it had, where it had one."""

    def __init__(self, kind: str | None, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True)
class Filter:
    """The status with these analyses alone; None for all of them."""

    analyses: frozenset[int] | None


def parse(text: str | bytes) -> Any:
    """The values of a message. Raises NotJson; binary messages are none."""
    if isinstance(text, bytes):
        raise NotJson
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise NotJson from None


def read_question(payload: Any) -> Filter:
    """What a client asks for. Raises BadQuestion."""
    if not isinstance(payload, dict):
        raise BadQuestion(None, "Payload should be a dictionary.")
    kind = payload.get("type")
    known = kind if isinstance(kind, str) else None
    if payload.get("content") is None:
        raise BadQuestion(known, 'Payload "content" was not set.')
    if kind != FILTERED:
        raise BadQuestion(known, f'type "{kind}" is not valid.')
    content = payload["content"]
    if not isinstance(content, dict):
        raise BadQuestion(known, f'{FILTERED} "content" should be a dictionary.')
    return Filter(_ids(content.get("analyses")))


def refusal(error: BadQuestion, time: str | None) -> dict[str, Any]:
    """The answer to a bad question."""
    return {"time": time, "type": error.kind, "status": "ERROR", "content": {"detail": error.detail}}


def _ids(analyses: Any) -> frozenset[int] | None:
    if analyses is None:
        return None
    if not isinstance(analyses, list) or not all(type(each) is int for each in analyses):
        raise BadQuestion(FILTERED, f'{FILTERED} "analyses" should be a list of ids.')
    return frozenset(analyses)
