"""The worker as it is, but with shorter pauses: tests that wait for a heartbeat need not wait for two seconds."""

import sys
from collections.abc import Mapping
from dataclasses import replace

from services.model_worker import __main__ as worker
from services.model_worker.settings import Settings

BEAT_EVERY = 0.4
"""Seconds."""


class QuickSettings(Settings):
    """Read like the real ones."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """The worker's settings with the pauses of the tests."""
        settings = Settings.read(environ)
        return replace(settings, beat_every=BEAT_EVERY, claim_again_after=1.0, log_every=0.5, keep_objects=600.0)


if __name__ == "__main__":
    worker.Settings = QuickSettings  # type: ignore[misc]
    sys.exit(worker.main())
