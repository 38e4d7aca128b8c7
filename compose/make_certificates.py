"""Make what compose/tls.yaml mounts: an authority of the platform's own, and certificates for its servers.

python3 compose/make_certificates.py [FOLDER] [--name NAME]…: NAME is a name or an address by which clients reach this
machine. What is there already is kept; remove a certificate with its key, and run this again, to have another one. In
`certificate_public` and `key_public` one's own may lie instead. Clients trust the file `authorities`. Needs `openssl`.
"""

import argparse
import ipaddress
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from make_secrets import HERE, NOBODY_YET, write

SERVERS = ("rabbitmq", "database", "objects", "proxy")
"""As they are called within the platform, and nowhere else."""
PUBLIC = "public"
"""What clients see of the proxy."""
HERE_TOO = ("localhost", "127.0.0.1", "::1")

AUTHORITY_DAYS = 3650
DAYS = 825
"""More is refused by some clients."""
SOON = 30

REQUEST = """
[req]
distinguished_name = nothing
prompt = no
[nothing]
CN = {name}
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {places}
"""
NEW_KEY = ("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def main() -> int:
    """Make what is missing; say what ends soon."""
    parser = argparse.ArgumentParser(description="An authority, and certificates for compose/tls.yaml.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "secrets")
    parser.add_argument("--name", action="append", default=[], help="by which clients reach this machine")
    said = parser.parse_args()
    folder = said.folder.resolve()
    try:
        make_authority(folder)
        for server in SERVERS:
            make_certificate(folder, server, (server,))
        make_certificate(folder, PUBLIC, public_names(said.name))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"No certificates: {getattr(error, 'stderr', None) or error}\n")
        return 1
    warn(folder)
    return 0


def public_names(said: list[str]) -> tuple[str, ...]:
    """Of this machine, for clients: what was said, then what it calls itself."""
    names = [name.strip() for each in said for name in each.split(",")]
    known = [name for name in names if name not in ("", "0.0.0.0", "::")]  # noqa: S104
    return tuple(dict.fromkeys((*known, socket.gethostname(), *HERE_TOO)))


def make_authority(folder: Path) -> None:
    """Who signs the others, unless there is somebody already."""
    trusted = folder / "authorities"
    if trusted.exists() and trusted.read_text(encoding="utf-8") != NOBODY_YET:
        return
    with tempfile.TemporaryDirectory(dir=folder) as made:
        signing = ("-x509", "-extensions", "authority", "-days", str(AUTHORITY_DAYS))
        new_key(Path(made), f"Lossline on {socket.gethostname()}", "DNS:authority", *signing)
        keep_pair(Path(made), folder / "authority_key", trusted)
    (folder / "authority_key").chmod(0o600)


def make_certificate(folder: Path, server: str, names: tuple[str, ...]) -> None:
    """A certificate for these names and addresses, and its key, unless they are there."""
    key, certificate = folder / f"key_{server}", folder / f"certificate_{server}"
    if certificate.exists():
        return
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        made = Path(temporary)
        new_key(made, names[0], ",".join(map(place, names)))
        request, signed = made / "new", made / "signed"
        signing = ("-CA", folder / "authorities", "-CAkey", folder / "authority_key", "-days", str(DAYS))
        extensions = ("-extfile", made / "request", "-extensions", "server", "-set_serial", str(secrets.randbits(120)))
        openssl("x509", "-req", "-in", request, *signing, *extensions, "-out", signed)
        signed.replace(request)
        keep_pair(made, key, certificate)


def new_key(made: Path, name: str, places: str, *more: str) -> None:
    """A key, and what it says of itself: a request to be signed, or, by `more`, a certificate that signs itself."""
    (made / "request").write_text(REQUEST.format(name=name[:64], places=places), encoding="utf-8")
    openssl(*NEW_KEY, *more, "-config", made / "request", "-keyout", made / "key", "-out", made / "new")


def keep_pair(made: Path, key: Path, certificate: Path) -> None:
    """The key first: where there is a certificate, there is its key."""
    write(key, (made / "key").read_text(encoding="utf-8"))
    write(certificate, (made / "new").read_text(encoding="utf-8"))


def place(name: str) -> str:
    """A name or an address, as certificates spell it."""
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


def warn(folder: Path) -> None:
    """Of what is good for less than a month."""
    for path in (folder / "authorities", *sorted(folder.glob("certificate_*"))):
        done = subprocess.run(
            ["openssl", "x509", "-checkend", str(SOON * 86400), "-noout", "-in", path],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            sys.stderr.write(f"{path} is good for less than {SOON} days: remove it, and run this again.\n")


def openssl(*arguments: str | Path) -> None:
    """Run it. Raises CalledProcessError, OSError."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main())
