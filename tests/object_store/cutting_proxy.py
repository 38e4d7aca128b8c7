"""A TCP proxy that breaks connections, for faults at the wire."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit

_BLOCK = 65536


class CuttingProxy:
    """Hands on to `target`; each answer ends after `limit` bytes while that is set. 0 swallows answers whole."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.limit: int | None = None
        self.connections = 0

    def serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self.connections += 1
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._sockets.append(each)
                self.start(self._pump_requests, client, server)
                self.start(self._pump_answers, server, client)

    def start(self, function: object, *arguments: object) -> None:
        thread = Thread(target=function, args=arguments, daemon=True)  # type: ignore[arg-type]
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        for each in (self._listener, *self._sockets):
            with suppress(OSError):  # not connected any more
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in (self._listener, *self._sockets):
            each.close()

    def _pump_requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(_BLOCK):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _pump_answers(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := server.recv(_BLOCK):
                if self.limit is not None:
                    data = data[: max(0, self.limit - passed)]
                    if not data:
                        break
                client.sendall(data)
                passed += len(data)
            client.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting_proxy(target: str) -> Iterator[CuttingProxy]:
    """Run a proxy in front of the URL for the block."""
    proxy = CuttingProxy(target)
    proxy.start(proxy.serve)
    try:
        yield proxy
    finally:
        proxy.stop()
