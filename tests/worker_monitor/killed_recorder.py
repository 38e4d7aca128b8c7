"""Records the grant that it reads from standard input, and kills itself after the copies and before the commit."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import BinaryIO

from services.worker_monitor.holdings import Hold
from services.worker_monitor.recording import Recorder
from shared.codec import from_plain
from shared.core.retries import RetryPolicy
from shared.database.engine import open_engine
from shared.messages.catalogue import Grant
from shared.object_store import ObjectInfo
from shared.object_store.directory import DirectoryStore


class DeadlyStore(DirectoryStore):
    """The log of an attempt is the last thing that is stored before the commit."""

    def put(self, key: str, stream: BinaryIO, *, content_type: str | None = None) -> ObjectInfo:
        if key.startswith("logs/"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().put(key, stream, content_type=content_type)


def main() -> None:
    url, root = sys.argv[1:]
    grant = from_plain(Grant, json.load(sys.stdin))
    engine = open_engine(url, name="killed")
    Recorder(engine, DeadlyStore(Path(root)), RetryPolicy(), "monitor-to-be-killed").execute(Hold(grant))


if __name__ == "__main__":
    main()
