"""The entry of the step that runs a shell script, as oasislmf runs its own."""

import json
import subprocess
import sys
from pathlib import Path


def run_script(spec_path: Path) -> int:
    script = json.loads(spec_path.read_text())
    status = subprocess.run(["bash", "-c", script], check=False).returncode
    sys.stdout.write(f"status {status}\n")
    return 0
