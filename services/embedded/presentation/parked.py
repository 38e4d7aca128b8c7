"""How parked messages are shown."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from services.embedded.parked import ParkedMessage, Replay
from services.embedded.presentation.formats import count

_ID_SHOWN = 8
_REASON_SHOWN = 70


def visible(text: str) -> str:
    """The text with what a terminal might obey, or not show, as escapes. Line breaks stay."""
    return "".join(char if char.isprintable() or char == "\n" else _escape(char) for char in text)


def parked_table(messages: Sequence[ParkedMessage]) -> Table:
    """One row a message."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("number", "id", "from queue", "message", "bytes", "reason"):
        table.add_column(heading, justify="right" if heading in ("number", "bytes") else "left")
    for message in messages:
        table.add_row(
            str(message.number),
            _one_line(message.message_id[:_ID_SHOWN] or "none"),
            _one_line(message.queue or "not known"),
            _one_line(message.kind or "unreadable"),
            f"{message.size:,}",
            _one_line(shortened(message.reason, _REASON_SHOWN)),
        )
    return table


def parked_summary(total: int, shown: int) -> str:
    """What is beneath the table."""
    if total > shown:
        return f"{count(shown, 'message')} of {total:,}; --limit shows more."
    return f"{count(total, 'message')}. `lossline parked show NUMBER` shows one as a whole."


def parked_text(message: ParkedMessage) -> str:
    """One message as a whole: what is known of it, then its body."""
    delivery = message.delivery
    known = {
        "id": message.message_id or "none",
        "from queue": message.queue or "not known",
        "reason": message.reason or "not known",
        "priority": str(delivery.priority),
        "correlation": delivery.correlation_id or "",
        "reply to": delivery.reply_to or "",
        "bytes": f"{message.size:,}",
    }
    others = {f"header {name}": value for name, value in delivery.headers.items() if name not in ("queue", "reason")}
    lines = [f"{name:<12} {value}" for name, value in (known | others).items() if value]
    return visible("\n".join([*lines, "", message.body_text()]))


def replay_line(replay: Replay) -> str:
    """What became of one message."""
    name = short_name(replay.message)
    if replay.problem:
        return visible(f"Still parked: {name}: {replay.problem}.")
    return visible(f"Replayed {name} to {replay.message.queue}.")


def short_name(message: ParkedMessage) -> str:
    """Number and beginning of the id."""
    return f"message {message.number} ({message.message_id[:_ID_SHOWN] or 'without id'})"


def shortened(text: str, length: int) -> str:
    """The text, cut to this many characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _one_line(text: str) -> Text:
    return Text(visible(text).replace("\n", " "))


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()
