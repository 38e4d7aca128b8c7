"""Whether a websocket server tells of the queues, asked as a client asks."""

from __future__ import annotations

import json
import ssl

import requests
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

LOGIN = {"username": "admin", "password": "password"}


def told(api: str, websocket: str, authorities: str | None = None) -> bool:
    """Log in to the API, and hear one message of the websocket server. False for a server that is not there."""
    answer = requests.post(f"{api}access_token/", json=LOGIN, verify=authorities, timeout=60)
    answer.raise_for_status()
    header = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    trust = ssl.create_default_context(cafile=authorities) if authorities else None
    url = f"{websocket}/ws/v2/queue-status/"
    try:
        with connect(url, ssl=trust, additional_headers=header, proxy=None) as connection:
            return bool(json.loads(connection.recv(timeout=20))["type"] == "queue_status.updated")
    except (OSError, WebSocketException):
        return False
