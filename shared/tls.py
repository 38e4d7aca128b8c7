"""TLS: whose certificates are trusted, and our own. Files are in PEM, and looked at once, when settings are read."""

import os
import ssl
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_AUTHORITIES = "a file with the certificates of the authorities that are trusted, in PEM"
_CERTIFICATE = "a file with our certificate and those that lead to its authority, in PEM, and the key of it"

_IN_URL = {"cafile": "authorities", "certfile": "certificate", "keyfile": "key"}
"""How aio-pika spells the files in the URL of a broker."""


class BadPem(ValueError):
    """A file of certificates, or of a key, cannot be used. `path`: which; `wanted`: what it must be, and is not."""

    def __init__(self, path: str, wanted: str, reason: str) -> None:
        super().__init__(f"{path} cannot be used: name {wanted} ({reason})")
        self.path = path
        self.wanted = f"{wanted} ({reason})"


@dataclass(frozen=True)
class TlsFiles:
    """Paths. Without `authorities` the usual ones are trusted; `key` may be in the file of `certificate`."""

    authorities: str | None = None
    certificate: str | None = None
    key: str | None = None


def usual_authorities() -> str:
    """SSL_CERT_FILE is what OpenSSL goes by; slim images have no certificates of their own."""
    # Not loaded where nobody speaks TLS.
    import certifi

    return os.environ.get("SSL_CERT_FILE") or certifi.where()


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """For connections of ours: the other end's certificate must be trusted, and name the host. Raises BadPem."""
    authorities = files.authorities or usual_authorities()
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise BadPem(authorities, _AUTHORITIES, _reason(error)) from error
    if files.certificate:
        _show(context, files.certificate, files.key)
    return context


def with_tls(url: str, files: TlsFiles) -> str:
    """The URL of the same broker over TLS: `amqps://…?cafile=…&certfile=…&keyfile=…`."""
    parts = urlsplit(url)
    given = {name: path for name, field in _IN_URL.items() if (path := getattr(files, field))}
    query = urlencode([*parse_qsl(parts.query), *given.items()])
    return urlunsplit(parts._replace(scheme="amqps", query=query))


def split_tls(url: str) -> tuple[str, ssl.SSLContext | None]:
    """A broker's URL without the files, and what they make; None where it is not over TLS. Raises BadPem."""
    parts = urlsplit(url)
    if parts.scheme != "amqps":
        return url, None
    query = parse_qsl(parts.query)
    files = TlsFiles(**{_IN_URL[name]: path for name, path in query if name in _IN_URL})
    others = urlencode([(name, value) for name, value in query if name not in _IN_URL])
    return urlunsplit(parts._replace(query=others)), client_context(files)


def _show(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    try:
        # A service has nobody to ask for the password of a key; without one here OpenSSL would ask the terminal.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise BadPem(certificate, _CERTIFICATE, _reason(error)) from error


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"it holds nothing of that kind: {error.reason or error}"
    return error.strerror or str(error)
