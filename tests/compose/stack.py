"""Lossline as `make up` starts it, from a copy of the checkout, in a project of the tests' own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from services.embedded.client import ApiClient
from services.embedded.environment import Login
from services.embedded.ports import free_port
from tests.compose.engine import CHECKOUT, PYTHON, docker, have_images, is_stand_in
from tests.compose.wheels import wheels_into

PROJECT = "lossline-tests"
PARTS = ("Dockerfile", ".dockerignore", "Makefile", "pyproject.toml", "constraints.txt", "README.md")
FOLDERS = ("compose", "scripts", "services", "shared", "examples")
OTHERS = {
    "rabbitmq": "rabbitmq:4",
    "postgres": "postgres:17",
    "s3": "versity/versitygw:v1.8.0",
    "haproxy": "haproxy:3.2",
    "prometheus": "prom/prometheus:v3.5.0",
}
"""Images of others, as compose/compose.yaml and compose/tls.yaml name them."""

COMPOSE_FILE = "compose/compose.yaml"
TLS_FILE = "compose/tls.yaml"
MODELS = "models.yaml"
_WITHIN = 1200


@dataclass(frozen=True)
class Stack:
    """A platform in containers, up. `folder`: the copy of the checkout that it was started from."""

    folder: Path
    environ: dict[str, str]
    login: Login = field(default_factory=Login)

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http{'s' if self.authorities else ''}://127.0.0.1:{self.environ['LOSSLINE_PORT']}/"

    @property
    def authorities(self) -> str | None:
        """Who signs the certificates of the platform, where it is over TLS."""
        return str(self.folder / "compose" / "secrets" / "authorities") if "LOSSLINE_TLS" in self.environ else None

    @property
    def client(self) -> ApiClient:
        """Logged in as the administrator."""
        return ApiClient(self.url, self.login, self.authorities)

    def over_tls(self) -> Stack:
        """The same platform as `LOSSLINE_TLS=1 make up` starts it."""
        return replace(self, environ=self.environ | {"LOSSLINE_TLS": "1", "COMPOSE_FILES": compose_files(tls=True)})

    def make(self, target: str) -> str:
        """What a user types; returns what it printed."""
        return self._run("make", target).stdout

    def take_down(self) -> None:
        """`make down`, which leaves nothing but what has a name; then this goes too, but for images."""
        mounted = self.mounts()
        self.make("down")
        assert docker("ps", "--all", "--quiet", "--filter", f"label=lossline.fleet={PROJECT}").stdout == ""
        self.over_tls().compose("--profile", "prometheus", "down", "--volumes", "--remove-orphans")
        assert mounted & set(docker("volume", "ls", "--quiet").stdout.split()) == set()

    def compose(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of compose over the files that `make` uses."""
        files = [text for name in self.environ["COMPOSE_FILES"].split() for text in ("--file", name)]
        return self._run("docker", "compose", *files, *arguments, check=check)

    def _run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False, timeout=_WITHIN
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout[-5000:]}{done.stderr[-5000:]}"
        return done

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, but for those that somebody runs beside them."""
        labels = {"project": PROJECT, "service": service, "oneoff": "False"}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        return docker("ps", "--all", "--quiet", *filters).stdout.split()

    def container(self, service: str) -> str:
        """The id of a service's one container."""
        (found,) = self.containers(service)
        return found

    def workers(self) -> set[str]:
        """The ids of the containers that the worker controller has started, and that run."""
        return set(docker("ps", "--quiet", "--filter", f"label=lossline.fleet={PROJECT}").stdout.split())

    def mounts(self) -> set[str]:
        """What its containers have mounted: folders, and names of volumes, also of those that nobody has named."""
        ours = f"--filter=label=com.docker.compose.project={PROJECT}"
        listed = docker("ps", "--all", "--no-trunc", "--format", "{{.Mounts}}", ours).stdout
        return set(listed.replace(",", " ").split())

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine says of a service's container."""
        (found,) = json.loads(docker("inspect", self.container(service)).stdout)
        return dict(found)

    def is_healthy(self, service: str) -> bool:
        """Whether its own health check says so."""
        return bool(self.inspect(service)["State"]["Health"]["Status"] == "healthy")

    def logs(self) -> str:
        """The last lines of everything, for a test that fails."""
        return self.compose("logs", "--no-color", "--tail", "40", check=False).stdout


def new_stack(folder: Path, model: Path) -> Stack:
    """A copy of the checkout in `folder`, and all images; nothing is started.

    `model`: the directory of the example model, whose second version has it mounted.
    """
    made = build_images(folder)
    write_models(folder, model)
    return replace(made, environ=made.environ | {"COMPOSE_FILES": compose_files()})


def build_images(folder: Path) -> Stack:
    """A copy of the checkout in `folder`, and all images."""
    copy_checkout(folder)
    with ThreadPoolExecutor(2) as beside:  # some compile, others load packages
        wheels = beside.submit(wheels_into, folder)
        have_images({"python": PYTHON})
        others = beside.submit(have_images, OTHERS)
        wheels.result()
        made = Stack(folder, environment(folder))
        made.make("images")
        others.result()
    return made


def environment(folder: Path) -> dict[str, str]:
    """Of the commands of the stack: nothing of the platform that somebody may have here."""
    ours = ("OASIS_", "LOSSLINE_", "COMPOSE", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {
        "COMPOSE_FILES": COMPOSE_FILE,
        "COMPOSE_PROJECT_NAME": PROJECT,
        "LOSSLINE_VERSION": "tests",
        "LOSSLINE_MODELS": str(folder / MODELS),
        "LOSSLINE_PORT": str(free_port()),
        "LOSSLINE_WEBSOCKET_PORT": str(free_port()),
        "LOSSLINE_PROMETHEUS_PORT": str(free_port()),
        # Where a stand-in is the base, a build reaches no package index, or not as this machine does.
        "PIP_OPTIONS": "--no-index" if is_stand_in(PYTHON) else "",
        "KERNELS": "some",
    }


def copy_checkout(folder: Path) -> None:
    """What images are built from, and what starts them."""
    for name in PARTS:
        shutil.copy2(CHECKOUT / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__", "secrets", ".env", "*.whl")
    for name in FOLDERS:
        shutil.copytree(CHECKOUT / name, folder / name, ignore=ignored)


def write_models(folder: Path, model: Path) -> None:
    """The file of two models of the checkout, of which the second is mounted instead of a part of its image."""
    content = yaml.safe_load((folder / "compose" / "two-models.yaml").read_text())
    baked, second = content["models"]
    mounted = {"supplier": "Lossline", "model": "CoastWind", "directory": "/model", "slots": baked["slots"]}
    mounted |= {"image": "lossline-worker:${LOSSLINE_VERSION}", "volumes": [f"{model}:/model:ro"]}
    (folder / MODELS).write_text(yaml.safe_dump({"models": [baked, {**second, **mounted}]}))


def compose_files(*, tls: bool = False) -> str:
    """The files of the checkout, what tests add, and what stand-ins need."""
    here = CHECKOUT / "tests" / "compose"
    files = [COMPOSE_FILE, *([TLS_FILE] if tls else []), str(here / "quick.yaml")]
    needing = [kind for kind in ("postgres", "s3") if is_stand_in(OTHERS[kind])]
    assert len(needing) != 1, f"{needing} is a stand-in and the other is none; remove one of them"
    if needing:
        files += [str(here / name) for name in ("stand-ins.yaml", *(["tls-stand-ins.yaml"] if tls else []))]
    return " ".join(files)
