"""The processes of a worker: who starts whom, and who kills whom.

    supervisor ──spawns──▶ fork server ──forks──▶ guardian ──forks──▶ step process ──▶ whatever the step starts
        │                                            │
        └── lifeline (a socket: commands one way, "started" and "ended" the other; its end kills) ──┘

The fork server has imported what steps need and is single-threaded, so that a step starts in milliseconds. The
guardian is the subreaper of everything below it: a daemon that forks twice, or a program in a session of its own,
comes back to the guardian when its parent dies, so "all the processes of the attempt" is simply "all the descendants
of the guardian". That needs no privileges, which a control group does. A guardian stays for the next attempt.

The supervisor uses `ForkServer`, `ChildSpec`, `Child`, `ChildEnd` and `sweep`; none of them imports model code.
"""

from services.model_worker.processes.child import Child
from services.model_worker.processes.contract import STEP_RUNNER, ChildEnd, ChildSpec
from services.model_worker.processes.errors import (
    ForkServerDiedError,
    ForkServerFailedError,
    ProcessesError,
    ProgramsLostError,
    StartRefusedError,
    StepReportError,
    SweepFailedError,
)
from services.model_worker.processes.server import ForkServer
from services.model_worker.processes.sweep import sweep

__all__ = [
    "STEP_RUNNER",
    "Child",
    "ChildEnd",
    "ChildSpec",
    "ForkServer",
    "ForkServerDiedError",
    "ForkServerFailedError",
    "ProcessesError",
    "ProgramsLostError",
    "StartRefusedError",
    "StepReportError",
    "SweepFailedError",
    "sweep",
]
