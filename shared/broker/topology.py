"""Exchanges, queues and bindings as data. Pure: the adapters declare what is written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ExchangeKind = Literal["direct", "fanout", "topic", "headers"]
Argument = str | int | bool


@dataclass(frozen=True)
class ExchangeSpec:
    """An exchange. The default exchange "" exists always and is never declared."""

    name: str
    kind: ExchangeKind = "direct"
    durable: bool = True


@dataclass(frozen=True)
class QueueSpec:
    """A queue; `max_priority` makes it a priority queue with levels 0 to `max_priority`."""

    name: str
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False
    max_priority: int | None = None
    arguments: Mapping[str, Argument] = field(default_factory=dict)

    @property
    def declare_arguments(self) -> dict[str, Argument]:
        """The arguments of queue.declare, `x-max-priority` among them."""
        priority = {} if self.max_priority is None else {"x-max-priority": self.max_priority}
        return {**self.arguments, **priority}


@dataclass(frozen=True)
class BindingSpec:
    """Messages of `exchange` whose routing key matches go to `queue`."""

    queue: str
    exchange: str
    routing_key: str = ""


@dataclass(frozen=True)
class Topology:
    """What must exist at the broker; declared again after every reconnection."""

    exchanges: tuple[ExchangeSpec, ...] = ()
    queues: tuple[QueueSpec, ...] = ()
    bindings: tuple[BindingSpec, ...] = ()

    def merged(self, other: Topology) -> Topology:
        """Both together; of two things with one name, the other's."""
        return Topology(
            exchanges=tuple({e.name: e for e in (*self.exchanges, *other.exchanges)}.values()),
            queues=tuple({q.name: q for q in (*self.queues, *other.queues)}.values()),
            bindings=tuple(dict.fromkeys((*self.bindings, *other.bindings))),
        )

    def of_queue(self, name: str) -> Topology:
        """The part that the queue needs: itself, its bindings and their exchanges."""
        bindings = tuple(b for b in self.bindings if b.queue == name)
        wanted = {b.exchange for b in bindings}
        return Topology(
            exchanges=tuple(e for e in self.exchanges if e.name in wanted),
            queues=tuple(q for q in self.queues if q.name == name),
            bindings=bindings,
        )
