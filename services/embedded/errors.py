"""Errors of the embedded default.

EmbeddedError
├── PortTaken
├── FolderInUse
├── RabbitMQMissing
├── AccountMissing
├── FolderUnreachable
├── BinaryBroken
├── StartFailed
└── ServiceFailed
"""

from __future__ import annotations

from pathlib import Path


class EmbeddedError(Exception):
    """Lossline could not run on this machine."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class PortTaken(EmbeddedError):
    """A port that is needed is held by another process."""

    def __init__(self, host: str, port: int, holder: str | None) -> None:
        self.host, self.port, self.holder = host, port, holder
        by = f" by {holder}" if holder else ""
        super().__init__(f"Port {port} on {host} is already used{by}; stop that process or choose another port.")


class FolderInUse(EmbeddedError):
    """A data folder is in use by another Lossline."""

    def __init__(self, folder: Path, holder: str) -> None:
        self.folder, self.holder = folder, holder
        owner = f" ({holder})" if holder else ""
        super().__init__(
            f"{folder} is in use by another Lossline{owner}; stop that one, or set LOSSLINE_HOME to another folder."
        )


class RabbitMQMissing(EmbeddedError):
    """RabbitMQ is not installed; install it (Debian and Ubuntu: `apt-get install rabbitmq-server`) or start Docker."""


class AccountMissing(EmbeddedError):
    """PostgreSQL refuses to run as root and no other account could be made; run Lossline as an ordinary user."""


class FolderUnreachable(EmbeddedError):
    """The account that PostgreSQL runs as cannot reach its folder."""

    def __init__(self, folder: Path, account: str) -> None:
        self.folder, self.account = folder, account
        super().__init__(
            f"PostgreSQL refuses to run as root, and the account {account} that it runs as cannot reach {folder}; "
            "set LOSSLINE_HOME to a folder whose parents everybody may enter, for example /var/lib/lossline."
        )


class BinaryBroken(EmbeddedError):
    """A program that is needed does not run on this machine."""

    def __init__(self, program: Path, reason: str) -> None:
        self.program = program
        super().__init__(f"{program} does not run on this machine: {reason}")


class StartFailed(EmbeddedError):
    """Something that Lossline starts did not become ready; carries the last lines of its log."""

    def __init__(self, name: str, reason: str, log: Path, tail: str) -> None:
        self.name, self.reason, self.log, self.tail = name, reason, log, tail
        super().__init__(f"{name} did not start: {reason}. Its log is {log}; the last lines are:\n{tail}")


class ServiceFailed(StartFailed):
    """A service process died, or did not answer in time, while it was started."""


class ApiRefused(EmbeddedError):
    """The API refused a request."""

    def __init__(self, method: str, path: str, status: int, body: str) -> None:
        super().__init__(f"The API refused {method} {path} (status {status}): {body[:2000]}")
        self.status = status
