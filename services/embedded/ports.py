"""TCP ports of this machine."""

from __future__ import annotations

import errno
import secrets
import socket

import psutil

from services.embedded.errors import EmbeddedError, PortTaken

# Below the range that systems give to outgoing connections: a server that boots for seconds keeps its port.
_FIRST, _COUNT = 20_000, 12_000
_GIVEN: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free just now, and that this process has not given before.

    A server of somebody else may still take it before its user does.
    """
    for _ in range(100):
        port = _FIRST + secrets.randbelow(_COUNT)
        if port not in _GIVEN and _can_listen(host, port):
            _GIVEN.add(port)
            return port
    raise EmbeddedError(f"No free port was found on {host} between {_FIRST} and {_FIRST + _COUNT}; stop some servers.")


def check_port_free(host: str, port: int) -> None:
    """Raise `PortTaken`, naming the port and, where the system tells, the process that listens on it."""
    if not _can_listen(host, port):
        raise PortTaken(host, port, _holder(port))


def _can_listen(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier server in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise EmbeddedError(f"Port {port} on {host} cannot be listened on: {error.strerror}.") from error
        return True


def _holder(port: int) -> str | None:
    """`name (process 123)` of the listener; None when it is another user's, or not listening."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return None
    for connection in connections:
        # laddr is (ip, port), or empty for a socket that has no address.
        if connection.status == psutil.CONN_LISTEN and port in connection.laddr[1:] and connection.pid:
            return _describe(connection.pid)
    return None


def _describe(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.Error:
        return f"process {pid}"
