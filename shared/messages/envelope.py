"""How a message looks on the wire: `{"type", "version", "body"}` as JSON."""

from typing import Any

from shared.codec import Unreadable, from_json, from_plain, to_json, to_plain
from shared.messages import catalogue
from shared.messages.catalogue import Message

MESSAGES: dict[str, type[Message]] = {
    name: kind
    for name, kind in vars(catalogue).items()
    if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message
}
"""Every message by its name."""


def encode(message: Message) -> bytes:
    """The message as it goes over the wire."""
    return to_json({"type": type(message).__name__, "version": message.VERSION, "body": to_plain(message)})


def decode(text: bytes) -> Message:
    """The message that came over the wire. Raises Unreadable with the reason."""
    envelope: Any = from_json(text)
    if not isinstance(envelope, dict) or not isinstance(envelope.get("body"), dict):
        raise Unreadable("not an envelope with a body")
    kind = MESSAGES.get(str(envelope.get("type")))
    if kind is None:
        raise Unreadable(f"no message is called {envelope.get('type')!r}")
    if envelope.get("version") != kind.VERSION:
        raise Unreadable(f"{kind.__name__} has version {kind.VERSION}, not {envelope.get('version')!r}")
    return from_plain(kind, envelope["body"])
