"""The client libraries' own logs."""

from __future__ import annotations

import logging

LIBRARIES = ("pika", "aiormq", "aio_pika")


def silence_libraries() -> None:
    """Keep the client libraries out of the log; for composition roots, beside their other log settings.

    pika writes eight lines for every refused attempt to connect. The adapters write one, with the reason.
    """
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)
