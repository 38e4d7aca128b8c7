"""A supervisor to kill: starts attempts, prints the ids of every process there is, and waits for ever."""

import asyncio
import json
import os
import sys
from pathlib import Path

from services.model_worker.processes import Child, ChildSpec, ForkServer


async def _start(server: ForkServer, directory: Path) -> tuple[Child, list[int]]:
    spec = ChildSpec(directory / "spec.json", directory, dict(os.environ), entry="process_entries:plant_tree")
    child = await server.start(spec)
    tree = json.loads(await child.output.readline())
    return child, tree


async def main(directory: Path, preload: str) -> None:
    async with ForkServer((preload,), base_directory=directory) as server:
        if preload != "process_entries":
            await asyncio.Event().wait()
        pid = await server.ready()
        started = [await _start(server, directory) for _ in range(2)]
        facts = {
            "fork_server": pid,
            "step_processes": [child.pid for child, _ in started],
            "guardians": [child.guardian_pid for child, _ in started],
            "steps": [process for child, tree in started for process in {*tree, *child.processes()}],
        }
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
