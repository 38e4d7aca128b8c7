"""The gates before a commit are those of `make check`; the page of dependencies is about those that there are."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def declared_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = (requirement for extra in project["optional-dependencies"].values() for requirement in extra)
    names = {re.split(r"[^A-Za-z0-9_.-]", requirement)[0] for requirement in (*project["dependencies"], *extras)}
    return names - {project["name"]}


def explained_dependencies() -> set[str]:
    page = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text("utf-8")
    return set(re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE))


def commands_of_check() -> list[str]:
    rule = (ROOT / "Makefile").read_text("utf-8").split("\ncheck: ")[1].split("\n\n")[0]
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in rule.splitlines()[1:]]


def test_every_dependency_is_explained_and_every_explained_one_is_declared():
    assert explained_dependencies() == declared_dependencies()


def test_every_dependency_has_one_exact_version():
    lines = (ROOT / "constraints.txt").read_text("utf-8").split()
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}

    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in declared_dependencies()} <= pinned


def test_a_commit_passes_the_gates_of_make_check():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]

    assert [hook["entry"] for hook in hooks] == commands_of_check()


@pytest.mark.parametrize("command", ["make check", "make test", "make test-containers"])
def test_the_gate_calls_the_commands_that_the_readme_says(command: str):
    assert command in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert f"`{command}`" in (ROOT / "README.md").read_text("utf-8")


def test_every_decision_is_in_the_list():
    folder = ROOT / "docs" / "decisions"
    listed = set(re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text("utf-8")))

    assert listed == {path.name for path in folder.glob("[0-9]*.md")}
