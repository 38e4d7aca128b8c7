"""Hears the queue status: connects, reads whole snapshots, and connects again whatever ends the connection."""

import json
import logging
import ssl
import threading
from collections.abc import Mapping

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from services.worker_controller.api_client import ApiClient
from services.worker_controller.errors import ApiError
from services.worker_controller.rules import Demand
from services.worker_controller.snapshot import read_snapshot
from shared.broker.delays import backoff

log = logging.getLogger(__name__)

_LARGEST = 64 * 1024**2
_PING_EVERY = 20.0
_LOOK_UP = 0.5
"""Seconds between two looks whether to stop."""
_LONGEST_WAIT = 15.0


class Latest:
    """The newest snapshot while the connection lives; None where nothing may be trusted."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._demands: Mapping[str, Demand] | None = None
        self._version = 0

    def set(self, demands: Mapping[str, Demand] | None) -> None:
        """Replace it, and wake whoever waits."""
        with self._changed:
            self._demands, self._version = demands, self._version + 1
            self._changed.notify_all()

    def get(self) -> tuple[Mapping[str, Demand] | None, int]:
        """It, and how often it has been replaced."""
        with self._changed:
            return self._demands, self._version

    def wait_newer(self, version: int, timeout: float) -> None:
        """Return when it has been replaced since, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, timeout)


class Listener:
    """`run` returns when it is told to stop; a clean close is no more a reason than any other."""

    def __init__(self, url: str, api: ApiClient, latest: Latest, tls: ssl.SSLContext | None = None) -> None:
        self._url = url
        self._tls = tls
        self._api = api
        self._latest = latest
        self.connected = False

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set."""
        delays = backoff(cap=_LONGEST_WAIT)
        while not stopping.is_set():
            try:
                if self._hear(stopping):
                    delays = backoff(cap=_LONGEST_WAIT)
            except (ApiError, WebSocketException, OSError) as error:
                log.warning("No queue status is heard", extra={"url": self._url, "reason": str(error)})
            finally:
                self.connected = False
                self._latest.set(None)
            stopping.wait(next(delays))

    def _hear(self, stopping: threading.Event) -> bool:
        """One connection, until it ends. Returns whether anything was heard."""
        heard = False
        with self._connection() as connection:
            self.connected = True
            log.info("Connected to the queue status", extra={"url": self._url})
            while not stopping.is_set():
                try:
                    text = connection.recv(timeout=_LOOK_UP)
                except TimeoutError:
                    continue
                except WebSocketException as error:
                    log.warning("The connection to the queue status has ended", extra={"reason": str(error)})
                    break
                heard = self._take(text) or heard
        return heard

    def _connection(self) -> ClientConnection:
        token = self._api.token()
        try:
            return connect(
                self._url,
                additional_headers={"Authorization": f"Bearer {token}"},
                ping_interval=_PING_EVERY,
                max_size=_LARGEST,
                proxy=None,
                ssl=self._tls,
            )
        except InvalidStatus as error:
            if error.response.status_code in (401, 403):
                self._api.refused(token)
            raise

    def _take(self, text: str | bytes) -> bool:
        try:
            demands = read_snapshot(json.loads(text))
        except ValueError as error:
            # Nothing is decided from it, and nothing from what was known before it.
            log.error("A queue status cannot be read", extra={"reason": str(error)})
            self._latest.set(None)
            return False
        self._latest.set(demands)
        return True
