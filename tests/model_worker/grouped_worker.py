"""The quick worker in a control group of the test: `CONTROL_GROUP` names its folder."""

import os
import sys
from pathlib import Path

from services.model_worker import __main__ as worker
from tests.model_worker.quick_worker import QuickSettings

if __name__ == "__main__":
    (Path(os.environ["CONTROL_GROUP"]) / "cgroup.procs").write_text(str(os.getpid()))
    worker.Settings = QuickSettings  # type: ignore[misc]
    sys.exit(worker.main())
