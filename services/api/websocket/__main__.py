"""The process of the websocket server: settings, log, server. See server.py for the order of shutdown."""

import asyncio
import logging
import os
import sys

from services.api.settings import InsecureSettings
from services.api.websocket.server import serve_until_stopped
from services.api.websocket.settings import WebsocketSettings
from shared.service import configure_logging
from shared.settings import BadSetting

log = logging.getLogger(__name__)


def main() -> int:
    """Serve until SIGTERM. Exit status 1 where its address is taken or it fails, 2 for settings that cannot be used."""
    try:
        settings = WebsocketSettings.from_environ(os.environ)
        configure_logging("websocket", settings.log_level)
    except (BadSetting, InsecureSettings, OSError) as error:
        return _refuse(error, 2)
    # What clients do wrong, probes that only connect among it, is no error of ours; what matters we log ourselves.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    try:
        asyncio.run(serve_until_stopped(settings))
    except OSError as error:
        return _refuse(error, 1)
    except Exception:
        log.exception("The server has failed")
        return 1
    return 0


def _refuse(error: Exception, status: int) -> int:
    sys.stderr.write(f"lossline-websocket cannot start. {error}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
