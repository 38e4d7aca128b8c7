"""Gunicorn, started from here: one process with threads, and the parent that watches it.

Order at SIGTERM: no request is taken any more, those under way get `stop_timeout` seconds, then both processes end.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from services.api.settings import ApiSettings

REQUEST_TIMEOUT = 600
"""Seconds that the process may be silent before it is replaced."""


class Server(BaseApplication):  # type: ignore[misc]
    """The application under gunicorn. `build` is called in the process that serves, so that it shares no connection."""

    def __init__(self, build: Callable[[], Flask], settings: ApiSettings) -> None:
        self._build = build
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its settings."""
        for name, value in _options(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The WSGI application."""
        return self._build()


class RootLogger(Logger):  # type: ignore[misc]
    """Gunicorn's messages go where all others go."""

    def setup(self, cfg: Any) -> None:
        """Set no handlers."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def _options(settings: ApiSettings) -> dict[str, Any]:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": f"{host}:{settings.port}",
        "worker_class": "gthread",
        "workers": 1,
        "threads": settings.threads,
        "graceful_timeout": settings.stop_timeout,
        "timeout": REQUEST_TIMEOUT,
        "logger_class": RootLogger,
        # Several of us may run on one machine; its socket would lie at one place for all.
        "control_socket_disable": True,
        "proc_name": "lossline-api",
    }
