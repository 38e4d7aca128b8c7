"""A channel of an aio-pika connection that is opened when it is needed, and again when it has been lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.abc import AbstractChannel as PlainChannel


class KeptChannel:
    """`connection` gives the open connection or raises `BrokerUnavailable`. With `confirms`, what is published is."""

    def __init__(self, connection: Callable[[], AbstractConnection], *, confirms: bool) -> None:
        self._connection = connection
        self._confirms = confirms
        self._opening = asyncio.Lock()
        self._channel: AbstractChannel | None = None
        self._underlay: PlainChannel | None = None

    async def open(self) -> AbstractChannel:
        """The open channel."""
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                channel = self._connection().channel(publisher_confirms=self._confirms, on_return_raises=self._confirms)
                await channel.initialize()
                self._channel = channel
            return self._channel

    async def underlay(self) -> PlainChannel:
        """The open channel of the library below, which costs less where its comforts are not needed."""
        if self._underlay is None or self._underlay.is_closed:
            self._connection()
            self._underlay = await (await self.open()).get_underlay_channel()
        return self._underlay

    def forget(self) -> None:
        """There is a new connection."""
        self._channel = self._underlay = None
