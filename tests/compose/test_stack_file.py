"""What compose says, made into what a stack takes: compose/stack.py, from pipe to pipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.compose.engine import CHECKOUT

SCRIPT = CHECKOUT / "compose" / "stack.py"


@pytest.fixture
def composed(tmp_path: Path) -> dict[str, Any]:
    """A small file, as `docker compose config --format json` writes it."""
    (tmp_path / "admin_password").write_text("of our own")
    (tmp_path / "models.yaml").write_text("models: []")
    mount = {"type": "bind", "source": "/a", "target": "/b", "bind": {"create_host_path": True}}
    api = {"image": "api", "command": None, "restart": "always", "networks": {"work": None}, "volumes": [mount]}
    api |= {"depends_on": {"prepare": {"condition": "service_started"}}, "build": {"context": "."}}
    api |= {"ports": [{"mode": "host", "target": 8000, "published": "8001", "protocol": "tcp", "host_ip": "127.0.0.1"}]}
    return {
        "name": "ours",
        "services": {"api": api},
        "networks": {"work": {"name": "ours_work", "ipam": {}, "internal": True}},
        "configs": {"models": {"name": "ours_models", "file": str(tmp_path / "models.yaml")}},
        "secrets": {"admin_password": {"name": "ours_admin_password", "file": str(tmp_path / "admin_password")}},
        "volumes": {},
        "x-anchor": {},
    }


def stack(composed: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    text = json.dumps(composed)
    return subprocess.run([sys.executable, SCRIPT], input=text, capture_output=True, text=True, check=False, timeout=30)


def test_what_a_stack_does_not_know_is_left_out(composed: dict[str, Any]) -> None:
    made = json.loads(stack(composed).stdout)
    assert made["services"]["api"] == {
        "image": "api",
        "networks": {"work": None},
        "ports": [{"target": 8000, "published": 8001, "mode": "host"}],
        "volumes": [{"type": "bind", "source": "/a", "target": "/b"}],
    }
    assert made["networks"] == {"work": {"name": "ours_work", "internal": True}}
    assert set(made) == {"version", "services", "networks", "configs", "secrets", "volumes"}


def test_another_content_is_another_config(composed: dict[str, Any], tmp_path: Path) -> None:
    def name() -> str:
        return str(json.loads(stack(composed).stdout)["configs"]["models"]["name"])

    first = name()
    assert first.startswith("ours_models_")
    assert name() == first
    (tmp_path / "models.yaml").write_text("models: [1]")
    assert name() != first


def test_the_well_known_password_is_refused(composed: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "admin_password").write_text("password\n")
    done = stack(composed)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Write a password of your own to {tmp_path}/admin_password" in done.stderr
