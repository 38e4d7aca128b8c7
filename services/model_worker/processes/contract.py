"""What supervisor, fork server and guardian say to each other. Pure: values and their JSON, no I/O."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from services.model_worker.processes.markers import ATTEMPT_WIDTH

STEP_RUNNER = "services.model_worker.processes.step_runner:run_step"

START = b"S"
TERMINATE = b"T"
KILL = b"K"
"""Commands on the lifeline: one to a guardian that has no attempt, two about the one that it has. Its end means `KILL`
too: the supervisor is gone."""


@dataclass(frozen=True)
class ChildSpec:
    """What to start as one attempt."""

    spec_path: Path
    """Absolute path of a JSON file; the only argument of the entry."""
    directory: Path
    """The working directory. It must exist."""
    environ: dict[str, str]
    """The whole environment of the step; nothing of the fork server's is added but the two markers (see `markers`)."""
    entry: str = STEP_RUNNER
    """`module:function`, called with `spec_path`; what it returns (an int, or None for 0) is the exit status."""
    attempt: str = field(default_factory=lambda: str(uuid4()))
    """The attempt's UUID; marks the attempt's processes."""
    umask: int | None = None
    nice: int = 0
    """Added to the niceness of the fork server."""

    def __post_init__(self) -> None:
        if not 0 < len(self.attempt.encode()) <= ATTEMPT_WIDTH:
            raise ValueError(f"An attempt's name has 1 to {ATTEMPT_WIDTH} bytes, this one has {len(self.attempt)}.")
        if not self.entry.partition(":")[2]:
            raise ValueError(f"An entry is written module:function, not {self.entry!r}.")


@dataclass(frozen=True)
class ChildEnd:
    """How the step process ended. Exactly one of `exit_status` and `signal` is set."""

    exit_status: int | None
    signal: int | None
    peak_memory: int = 0
    """Bytes: the largest resident set of any one process of the attempt, with what it shares with the fork server."""
    killed_descendants: int = 0
    """Processes that the step had left running, and that were killed."""
    lost_programs: bool = False
    """Warm programs of the attempt died half done, with the server that had forked them (see warm/leash.py)."""
    lost_guardian: bool = False
    """The guardian was killed: nothing is known but that the attempt's processes are dead (`signal` says SIGKILL)."""


@dataclass(frozen=True)
class Started:
    """The guardian's first line about an attempt. No code of the step has run before it is written."""

    guardian_pid: int
    pid: int


@dataclass(frozen=True)
class Refused:
    """Its first and only line when a fork failed."""

    reason: str


@dataclass(frozen=True)
class Ready:
    """The fork server has imported everything."""

    pid: int
    seconds: float


@dataclass(frozen=True)
class Failed:
    """The fork server cannot serve, and exits."""

    reason: str


Message = Started | Refused | Ready | Failed | ChildEnd
_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Started, Refused, Ready, Failed, ChildEnd)}


def encode_message(message: Message) -> bytes:
    """One JSON line."""
    return json.dumps({"kind": type(message).__name__, **vars(message)}).encode() + b"\n"


def decode_message(line: bytes) -> Message:
    """The reverse of `encode_message`; both ends are the same installation, so anything unknown is an error."""
    facts: dict[str, Any] = json.loads(line)
    return _KINDS[facts.pop("kind")](**facts)


def encode_spec(spec: ChildSpec) -> bytes:
    """The attempt's name in `ATTEMPT_WIDTH` bytes, which is all that the guardian reads, and then JSON."""
    facts = {**vars(spec), "spec_path": str(spec.spec_path), "directory": str(spec.directory)}
    return spec.attempt.encode().ljust(ATTEMPT_WIDTH, b"\0") + json.dumps(facts).encode()


def decode_spec(data: bytes) -> ChildSpec:
    """The reverse of `encode_spec`."""
    facts: dict[str, Any] = json.loads(data[ATTEMPT_WIDTH:])
    return ChildSpec(**{**facts, "spec_path": Path(facts["spec_path"]), "directory": Path(facts["directory"])})


def server_arguments(descriptor: int, parent: int, preload: Sequence[str]) -> list[str]:
    """Arguments of the fork server's program: its socket, the supervisor's process id, modules to import."""
    return [str(descriptor), str(parent), *preload]
