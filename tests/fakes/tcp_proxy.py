"""A TCP proxy in the test process: put it between a client and a server, and break the wire.

with TcpProxy("127.0.0.1", 5672) as proxy:
    connect_to(proxy.host, proxy.port)
    proxy.blackhole()           # bytes stop flowing, sockets stay open: nobody is told
    proxy.forward()             # held bytes flow again, as after a cable is plugged back in
    proxy.drop_connections()    # every connection is reset
    proxy.refuse()              # … and new ones are closed at once
    proxy.delay(0.2)            # every chunk waits that long, in seconds, in each direction
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Self

CHUNK = 65536
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for 0 seconds; closing sends RST instead of FIN."""


class TcpProxy:
    """Forwards to `target_host`:`target_port` from a port of its own. Thread-safe."""

    def __init__(self, target_host: str, target_port: int) -> None:
        self._target = (target_host, target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host, self.port = self._listener.getsockname()
        self._flowing = threading.Event()
        self._flowing.set()
        self._closing = threading.Event()
        self._refusing = False
        self._delay = 0.0
        self.accepted = 0
        """How many connections there have been."""
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._spawn(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """How many connections are open through the proxy."""
        with self._lock:
            return len(self._sockets) // 2

    def forward(self) -> None:
        """Let bytes flow, without delay; accept connections."""
        self._refusing = False
        self._delay = 0.0
        self._flowing.set()

    def blackhole(self) -> None:
        """Hold every byte of every connection, old and new; close nothing."""
        self._flowing.clear()

    def delay(self, seconds: float) -> None:
        """Make every chunk wait `seconds`."""
        self._delay = seconds

    def refuse(self) -> None:
        """Reset open connections and close new ones at once, until `forward`."""
        self._refusing = True
        self.drop_connections()

    def drop_connections(self) -> None:
        """Reset every open connection; new ones are still accepted."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            _reset(each)

    def close(self) -> None:
        """Close everything and wait for the threads."""
        self._closing.set()
        self._flowing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join(5)

    def _connect(self) -> socket.socket:
        return socket.create_connection(self._target, timeout=5)

    def _spawn(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="tcp-proxy", daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                _reset(client)
                continue
            try:
                server = self._connect()
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            with self._lock:
                self._sockets += [client, server]
                self.accepted += 1
            self._spawn(self._pump, client, server)
            self._spawn(self._pump, server, client)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK):
                self._closing.wait(self._delay)
                self._flowing.wait()
                sink.sendall(data)
        except OSError:
            pass  # one of the two ends is gone; the other one follows
        finally:
            self._forget(source, sink)

    def _forget(self, *pair: socket.socket) -> None:
        with self._lock:
            ours = [each for each in pair if each in self._sockets]
            self._sockets = [each for each in self._sockets if each not in pair]
        for each in ours:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def _reset(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        # A close alone does not wake a thread that waits in recv; the shutdown does, and the reset still follows.
        each.shutdown(socket.SHUT_RD)
    each.close()
