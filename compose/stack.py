"""Make what `docker stack deploy` reads of what `docker compose config --format json` says: from pipe to pipe.

A stack is older than compose's files, and refuses what it does not know. Left out is what has no meaning on many hosts:
building, and an order of the starts (services wait for what they need, or are started again).
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from make_secrets import DEFAULTS

_NOT_IN_STACKS = ("build", "depends_on", "group_add", "network_mode", "profiles", "restart", "security_opt")
_DIGEST = 12

Tree = dict[str, Any]


def main() -> int:
    """Exit status 0, or 2 where the platform would not start."""
    composed = json.load(sys.stdin)
    password = Path(composed["secrets"]["admin_password"]["file"])
    if password.read_text(encoding="utf-8").strip() == DEFAULTS["admin_password"]:
        sys.stderr.write(f"The hosts of a Swarm listen to everybody. Write a password of your own to {password}.\n")
        return 2
    json.dump(stack_of(composed), sys.stdout, indent=1)
    return 0


def stack_of(composed: Tree) -> Tree:
    """The same as a stack. The files that configs are made of are read."""
    return {
        "version": "3.8",
        "services": {name: _service(each) for name, each in composed["services"].items()},
        "configs": {name: _config(each) for name, each in composed.get("configs", {}).items()},
        "networks": {name: _without_nothing(each) for name, each in composed["networks"].items()},
        "secrets": composed["secrets"],
        "volumes": composed["volumes"],
    }


def _service(said: Tree) -> Tree:
    found = _without_nothing({name: value for name, value in said.items() if name not in _NOT_IN_STACKS})
    found["ports"] = [_port(each) for each in said.get("ports", [])]
    found["volumes"] = [_without_nothing(each | {"bind": None}) for each in said.get("volumes", [])]
    return found


def _port(said: Tree) -> Tree:
    return {"target": said["target"], "published": int(said["published"]), "mode": said["mode"]}


def _config(said: Tree) -> Tree:
    """A config cannot be changed: another content is another config."""
    digest = hashlib.sha256(Path(said["file"]).read_bytes()).hexdigest()
    return {"name": f"{said['name']}_{digest[:_DIGEST]}", "file": said["file"]}


def _without_nothing(said: Tree) -> Tree:
    return {name: value for name, value in said.items() if value not in (None, {}, [])}


if __name__ == "__main__":
    sys.exit(main())
