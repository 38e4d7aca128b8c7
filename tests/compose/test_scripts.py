"""The scripts that `make up` runs on the machine: secrets, `.env`, certificates."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compose.engine import CHECKOUT

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what a service listens on, and no name of a machine


@pytest.fixture
def compose(tmp_path: Path) -> Path:
    """A copy of the folder, of its own."""
    return shutil.copytree(
        CHECKOUT / "compose", tmp_path / "compose", ignore=shutil.ignore_patterns("secrets", ".env", "*.whl")
    )


def run(compose: Path, script: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, compose / script, *arguments], capture_output=True, text=True, check=True)
    return done.stderr


def names_in(certificate: Path) -> str:
    command = ["openssl", "x509", "-in", certificate, "-noout", "-ext", "subjectAltName"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_what_is_there_is_kept_and_so_are_settings_of_the_user(compose: Path) -> None:
    run(compose, "make_secrets.py")
    secret, settings = compose / "secrets" / "signing_key", compose / ".env"
    before = secret.read_text()
    settings.write_text(f"LOSSLINE_PORT=9000\n{settings.read_text()}LOSSLINE_TLS=1\n")

    run(compose, "make_secrets.py")

    assert secret.read_text() == before
    lines = settings.read_text().splitlines()
    assert lines[0] == f"LOSSLINE_SECRETS={compose / 'secrets'}"
    assert lines[2:] == ["LOSSLINE_PORT=9000", "LOSSLINE_TLS=1"]


def test_certificates_are_made_once_and_for_the_names_that_were_said(compose: Path) -> None:
    run(compose, "make_secrets.py")
    secrets = compose / "secrets"

    assert run(compose, "make_certificates.py", "--name", EVERYWHERE, "--name", "192.0.2.7,losses.example.com") == ""

    said = names_in(secrets / "certificate_public")
    assert "IP Address:192.0.2.7, DNS:losses.example.com" in said
    assert EVERYWHERE not in said
    made = sorted(secrets.glob("certificate_*"))
    assert len(made) == 5
    verify = ["openssl", "verify", "-x509_strict", "-CAfile", secrets / "authorities"]
    subprocess.run([*verify, *made], check=True, capture_output=True)
    before = [path.read_text() for path in made]
    run(compose, "make_certificates.py", "--name", "another.example.com")
    assert [path.read_text() for path in made] == before


def test_a_certificate_that_ends_soon_is_told_of(compose: Path) -> None:
    run(compose, "make_secrets.py")
    secrets = compose / "secrets"
    new_key = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", secrets / "key_public", "-out", secrets / "certificate_public"]
    subprocess.run([*new_key, "-days", "9", "-subj", "/CN=x", *files], check=True, capture_output=True)

    said = run(compose, "make_certificates.py")

    assert said == f"{secrets / 'certificate_public'} is good for less than 30 days: remove it, and run this again.\n"
