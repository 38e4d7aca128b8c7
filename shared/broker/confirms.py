"""Which published messages the broker has answered. Pure; belongs to one channel in confirm mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

from shared.broker.errors import names_missing_exchange
from shared.broker.port import Outcome, OutgoingMessage

Settle = Callable[[Outcome, str], None]


@dataclass
class _InFlight:
    message: OutgoingMessage
    settle: Settle
    returned: str | None = None


class ConfirmBook:
    """Messages in flight on one channel, by publish sequence number (1, 2, 3, …).

    An unroutable message comes back as basic.return *before* its basic.ack, and carries no sequence number; it is
    matched by its identifier and address, the oldest first, as the broker keeps the order.
    """

    def __init__(self) -> None:
        self._sequence = 0
        self._in_flight: dict[int, _InFlight] = {}

    def __len__(self) -> int:
        return len(self._in_flight)

    def sent(self, message: OutgoingMessage, settle: Settle) -> int:
        """Note that the message was sent; `settle` is called once with its outcome."""
        self._sequence += 1
        self._in_flight[self._sequence] = _InFlight(message, settle)
        return self._sequence

    def returned(self, message_id: str | None, exchange: str, routing_key: str, reason: str) -> None:
        """The broker returned a message; its ack will follow."""
        address = (message_id, exchange, routing_key)
        for entry in self._in_flight.values():
            message = entry.message
            if entry.returned is None and (message.message_id, message.exchange, message.routing_key) == address:
                entry.returned = reason
                return

    def acked(self, tag: int, multiple: bool) -> None:
        """basic.ack: the message, or with `multiple` all up to it, is confirmed unless it was returned."""
        for entry in self._pop(tag, multiple):
            if entry.returned is None:
                entry.settle(Outcome.CONFIRMED, "")
            else:
                entry.settle(Outcome.RETURNED, entry.returned)

    def nacked(self, tag: int, multiple: bool) -> None:
        """basic.nack: the broker refuses the message, or with `multiple` all up to it."""
        for entry in self._pop(tag, multiple):
            entry.settle(Outcome.NACKED, "the broker refused to take the message")

    def lost(self, reason: str) -> None:
        """The channel is gone. Messages to an exchange that `reason` says is missing were not routed."""
        for entry in self._pop(self._sequence, multiple=True):
            missing = names_missing_exchange(reason, entry.message.exchange)
            entry.settle(Outcome.RETURNED if missing else Outcome.UNKNOWN, reason)

    def _pop(self, tag: int, multiple: bool) -> list[_InFlight]:
        if not multiple:
            entry = self._in_flight.pop(tag, None)
            return [] if entry is None else [entry]
        return [self._in_flight.pop(t) for t in list(takewhile(lambda t: t <= tag, self._in_flight))]
