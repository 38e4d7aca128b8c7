"""The thread of a pika connection. It runs the connection, its reconnect loop, and nothing of the user's."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from pika.adapters.select_connection import IOLoop, SelectConnection  # type: ignore[import-untyped]

from shared.broker.errors import BrokerError, BrokerUnavailable
from shared.broker.pika_values import error_of

_log = logging.getLogger(__name__)


class IoThread:
    """One thread, one event loop, one connection at a time; a lost connection is opened again, for ever.

    `on_open(connection)` and `on_lost(error)` are called on this thread; so is everything given to `submit`.
    """

    def __init__(
        self,
        parameters: Any,
        name: str,
        delays: Callable[[], Iterator[float]],
        on_open: Callable[[Any], None],
        on_lost: Callable[[BrokerError], None],
    ) -> None:
        self._parameters = parameters
        self._new_delays = delays
        self._delays = delays()
        self._on_open = on_open
        self._on_lost = on_lost
        self._loop = IOLoop()
        self._thread = threading.Thread(target=self._run, name=f"broker-io-{name}", daemon=True)
        self._connection: Any = None
        self._dropped: BrokerError | None = None
        self._stopping = False
        self._finished = False

    @property
    def connection(self) -> Any:
        """The open connection, or None. Only on this thread."""
        connection = self._connection
        return connection if connection is not None and connection.is_open else None

    def start(self) -> None:
        """Start the thread, which connects at once."""
        self._thread.start()

    def submit(self, function: Callable[[], None]) -> None:
        """Run `function` on this thread, in the order of the calls. Thread-safe."""
        self._loop.add_callback_threadsafe(function)

    def call_later(self, delay: float, function: Callable[[], None]) -> None:
        """Run `function` after `delay` seconds. Only on this thread."""
        self._loop.call_later(delay, function)

    def connected(self) -> None:
        """The connection proved useful: the next loss starts with short delays again. Only on this thread."""
        self._delays = self._new_delays()

    def drop(self, error: BrokerError) -> None:
        """Give this connection up because of `error`, and open another. Only on this thread."""
        if self.connection is not None:
            self._dropped = error
            self._connection.close()

    def stop(self, timeout: float) -> None:
        """Close the connection (abruptly if the broker does not answer within `timeout` seconds), end the thread."""
        if self._finished:
            return
        if not self._thread.is_alive():
            self._finished = True
            self._loop.close()  # it was never started
            return
        self.submit(lambda: self._begin_stop(timeout))
        self._thread.join(timeout + 5.0)
        if self._thread.is_alive():
            _log.error("The broker's I/O thread did not end", extra={"thread": self._thread.name})

    def _run(self) -> None:
        self.submit(self._connect)
        while not self._finished:
            try:
                self._loop.start()
            except Exception as error:  # noqa: BLE001
                # A bug here must not leave a process that looks alive with a broker that no thread serves.
                _log.exception("Unexpected error on the broker's I/O thread; the connection starts anew")
                self._recover(error)
        self._loop.close()

    def _recover(self, error: Exception) -> None:
        if self._connection is not None and not self._connection.is_closed:
            self._abort(error)
        elif self._stopping:
            self._finish()
        else:
            self._connection = None
            self._loop.call_later(next(self._delays), self._connect)

    def _connect(self) -> None:
        if self._stopping or self._connection is not None:
            return
        self._connection = SelectConnection(
            self._parameters,
            on_open_callback=self._opened,
            on_open_error_callback=self._ended,
            on_close_callback=self._ended,
            custom_ioloop=self._loop,
        )

    def _opened(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(
            lambda _connection, _method: _log.warning("The broker blocks publishing (memory or disk alarm)")
        )
        self._on_open(connection)

    def _ended(self, _connection: Any, reason: BaseException) -> None:
        self._connection = None
        error, self._dropped = self._dropped or error_of(reason), None
        self._on_lost(error)
        if self._stopping:
            self._finish()
            return
        delay = next(self._delays)
        _log.warning("No connection to the broker", extra={"reason": str(error), "retry_in_s": round(delay, 2)})
        self._loop.call_later(delay, self._connect)

    def _begin_stop(self, timeout: float) -> None:
        self._stopping = True
        if self._connection is None:
            self._finish()
            return
        self._loop.call_later(timeout, lambda: self._abort(BrokerUnavailable("The broker did not answer the close")))
        if not (self._connection.is_closing or self._connection.is_closed):
            self._connection.close()

    def _abort(self, error: Exception) -> None:
        if self._connection is None:
            return
        # pika has no public way to end a connection whose peer is silent; its own heartbeat checker does this.
        self._connection._terminate_stream(error)  # noqa: SLF001

    def _finish(self) -> None:
        self._finished = True
        self._loop.stop()
