"""python -m services.model_worker.priming MODEL_DIR: run a sample once, for what a run leaves behind on a machine.

The run's programs are compiled into `NUMBA_CACHE_DIR`, and warm programs note there what they have used, so that the
warm processes of workers begin with it. The sample brings its portfolio and settings, under the names that model
directories have. Everything else goes into a directory beside it that is removed.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from services.model_worker.processes import ChildSpec, ForkServer
from services.model_worker.warm.clients import install_clients
from services.model_worker.warm.environment import CLIENTS_VARIABLE, LOAD
from services.model_worker.warm.programs import installed_names, scripts_directory

_OURS = "services.model_worker.priming"
"""Also when it runs as a program."""
_EXPOSURE = {"-x": "location.csv", "-y": "account.csv", "-i": "ri_info.csv", "-s": "ri_scope.csv"}


def main() -> int:
    """Print what the run prints; its exit status."""
    model = Path(sys.argv[1]).absolute()
    with tempfile.TemporaryDirectory(prefix=".priming-", dir=model.parent) as folder:
        return asyncio.run(prime(model, Path(folder), os.environ))


async def prime(model: Path, folder: Path, environ: Mapping[str, str]) -> int:
    """Run the sample in an empty `folder`, by warm programs; the exit status of the run."""
    clients = install_clients(folder / "programs", installed_names(), scripts_directory())
    variables = {**environ, CLIENTS_VARIABLE: str(clients)}
    async with ForkServer((LOAD, _OURS), base_directory=folder, environ=variables) as forks:
        directory = folder / "attempt"
        directory.mkdir()
        spec_path = directory / "spec.json"
        spec_path.write_text(json.dumps(str(model)), encoding="utf-8")
        child = await forks.start(ChildSpec(spec_path, directory, variables, entry=f"{_OURS}:run_sample"))
        async for line in child.lines():
            sys.stdout.buffer.write(line + b"\n")
        end = await child.wait()
    return 1 if end.exit_status is None else end.exit_status


def run_sample(spec_path: Path) -> int:
    """The entry of the step. One process: two of a kind would compile the same at the same time."""
    model = Path(json.loads(spec_path.read_text(encoding="utf-8")))
    command = [str(scripts_directory() / "oasislmf"), "model", "run", "-n", "1", "-C", str(model / "oasislmf.json")]
    command += ["-a", str(model / "analysis_settings.json"), "-r", str(spec_path.parent / "run")]
    for option, name in _EXPOSURE.items():
        command += [option, str(model / "exposure" / name)]
    return subprocess.run(command, cwd=spec_path.parent, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
