"""Make what compose/compose.yaml reads and no repository holds: secrets, the broker's users, and `.env`.

python3 compose/make_secrets.py [FOLDER]: what is there already is kept, so that it may be run at every start. FOLDER
(beside this file: `secrets`) is for its owner alone; the files in it can be read by the accounts of the containers that
they are mounted into. To change a secret, remove its file and run this again; to choose one, write the file yourself.
"""

import base64
import hashlib
import json
import os
import secrets
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOCKET = Path(os.environ.get("LOSSLINE_SOCKET") or "/var/run/docker.sock")

RANDOM = ("database_password", "signing_key", "s3_key", "s3_secret")
NOBODY_YET = "# Whose certificates are trusted within the platform; make_certificates.py writes them.\n"
DEFAULTS = {"admin_password": "password", "authorities": NOBODY_YET}
"""The password is known to everybody, as clients expect it on one's own machine: the API refuses it where others can
connect. The file of authorities is mounted into workers also where there are none."""

NOTHING, EVERYTHING = "^$", ".*"
PUBLISH = r"amq\.default"
"""Who may publish to a queue may publish to every queue: the broker has no finer right for its default exchange."""
CONTROL = r"lossline\.control"
OWN = r"worker\..*"
"""Of a worker, and of nobody else: such a queue is exclusive to the connection that made it."""
RECORDER = "celery-v2"
INTERNAL = "oasis-internal-worker"
PLATFORM = rf"task-controller(\..*)?|worker-monitor|parked|{RECORDER}|{INTERNAL}|lossline\..*|amq\..*"
MODEL = rf"(?!({PLATFORM})$).*"

RIGHTS = {
    "api": (NOTHING, NOTHING, NOTHING),
    "task_controller": (rf"^(?!{OWN}$)", f"^({PUBLISH}|{CONTROL})$", r"^(task-controller(\..*)?|parked)$"),
    "worker_monitor": (
        rf"^(worker-monitor|{RECORDER}|{OWN})$",
        f"^({PUBLISH}|{OWN})$",
        rf"^(worker-monitor|{RECORDER}|{OWN}|{CONTROL})$",
    ),
    "worker_controller": (NOTHING, f"^({PUBLISH}|{CONTROL})$", NOTHING),
    "internal_worker": (f"^({INTERNAL}|{OWN})$", f"^({PUBLISH}|{OWN})$", f"^({INTERNAL}|{OWN}|{CONTROL})$"),
    "worker": (f"^{MODEL}$", f"^({PUBLISH}|{OWN})$", f"^({MODEL}|{CONTROL})$"),
    "operator": (EVERYTHING, EVERYTHING, EVERYTHING),
}
"""What a user may make (and remove), write to, and read from: patterns of names of queues and exchanges."""


def main() -> int:
    """Make what is missing."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "secrets").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in RANDOM:
        keep(folder / name, secrets.token_urlsafe(24))
    for name, text in DEFAULTS.items():
        keep(folder / name, text)
    passwords = {user: keep(folder / f"rabbit_{user}", secrets.token_urlsafe(24)) for user in RIGHTS}
    write(folder / "rabbit_definitions", json.dumps(definitions(passwords), indent=1))
    group = SOCKET.stat().st_gid if SOCKET.exists() else 0
    keep_settings({"LOSSLINE_SECRETS": str(folder), "LOSSLINE_SOCKET_GROUP": str(group)})
    return 0


def keep_settings(ours: dict[str, str]) -> None:
    """Write `.env`: our lines first, then those of others, which are kept."""
    path = HERE / ".env"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    others = [line for line in lines if line.partition("=")[0] not in ours]
    write(path, "\n".join([*(f"{name}={value}" for name, value in ours.items()), *others, ""]))


def definitions(passwords: dict[str, str]) -> dict[str, list[dict[str, object]]]:
    """The broker's users and their rights, in the words of RabbitMQ."""
    hashing = "rabbit_password_hashing_sha256"
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {"name": user, "password_hash": hashed(password), "hashing_algorithm": hashing, "tags": []}
            for user, password in passwords.items()
        ],
        "permissions": [
            {"user": user, "vhost": "/", "configure": configure, "write": written, "read": read}
            for user, (configure, written, read) in RIGHTS.items()
        ],
    }


def hashed(password: str) -> str:
    """As RabbitMQ keeps it: four random bytes, and the digest of them with the password."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def keep(path: Path, text: str) -> str:
    """What the file holds; it is written where it is not there."""
    if not path.exists():
        write(path, text)
    return path.read_text(encoding="utf-8").strip()


def write(path: Path, text: str) -> None:
    """Completely or not at all."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o644)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main())
