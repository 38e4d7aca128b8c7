"""Settings read once from the environment, by the names of the reference. Source: oasis_api.md section 7."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from sqlalchemy import URL

from shared.tls import BadPem, TlsFiles, client_context, with_tls

T = TypeVar("T")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off", ""})
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""Of libpq."""
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt])?i?b?", re.IGNORECASE)


class BadSetting(Exception):
    """A setting cannot be used as it is."""

    def __init__(self, name: str, value: str, wanted: str) -> None:
        super().__init__(f"{name} is {value!r}: set it to {wanted}")
        self.name = name


@dataclass(frozen=True)
class Options:
    """Options of one section: `OASIS_{SECTION}_{NAME}` wins over `OASIS_{NAME}`; names are given without the prefix."""

    section: str
    environ: Mapping[str, str] = field(repr=False, default_factory=lambda: dict(os.environ))

    def get(self, name: str) -> str | None:
        """The option as it stands, or None where it is not set."""
        for variable in (f"OASIS_{self.section}_{name}", f"OASIS_{name}"):
            if variable in self.environ:
                return self.environ[variable]
        return None

    def text(self, name: str, default: str) -> str:
        """The option, or the default where it is absent or empty."""
        return self.get(name) or default

    def secret(self, name: str) -> str | None:
        """The option, or what the file named by `{NAME}_FILE` holds, or None."""
        path = self.get(f"{name}_FILE")
        if path:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123 - a settings path is text
                return file.read().strip()
        return self.get(name)

    def integer(self, name: str, default: int, *, least: int = 0) -> int:
        """A whole number of at least `least`."""
        return self._parsed(name, default, lambda text: _at_least(int(text), least), f"a whole number from {least} on")

    def seconds(self, name: str, default: float) -> float:
        """A duration in seconds, above zero."""
        return self._parsed(name, default, lambda text: _above_zero(float(text)), "a number of seconds above 0")

    def seconds_or_never(self, name: str, default: float | None) -> float | None:
        """A duration in seconds; 0 is None, never."""
        wanted = "a number of seconds, or 0 for never"
        return self._parsed(name, default, lambda text: _above_zero(float(text)) if float(text) else None, wanted)

    def size(self, name: str, default: int | None) -> int | None:
        """A number of bytes; 0 is None, no limit."""
        return self._parsed(name, default, lambda text: _bytes(text) or None, "a size like 500M or 2GiB, or 0 for none")

    def flag(self, name: str, *, default: bool) -> bool:
        """A yes or no."""
        return self._parsed(name, default, _flag, "True or False")

    def _parsed(self, name: str, default: T, parse: Callable[[str], T], wanted: str) -> T:
        text = self.get(name)
        if text is None:
            return default
        try:
            return parse(text.strip())
        except ValueError:
            raise BadSetting(self.variable(name), text, wanted) from None

    def variable(self, name: str) -> str:
        """The variable that the option is taken from."""
        own = f"OASIS_{self.section}_{name}"
        return own if own in self.environ else f"OASIS_{name}"


def _at_least(value: int, least: int) -> int:
    if value < least:
        raise ValueError(value)
    return value


def _above_zero(value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(value)
    return value


def _bytes(text: str) -> int:
    """`2GiB`, `2G`, `1.5 gb` and a plain number; every unit is a power of 1024."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return int(float(match[1]) * 1024 ** " kmgt".index((match[2] or " ").lower()))


def _flag(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


def database_url(environ: Mapping[str, str]) -> "URL":
    """Where the database is: `OASIS_SERVER_DB_*`; a host that begins with `/` is the folder of a socket.

    Raises BadSetting.
    """
    # Not above: a worker has no database, and a third of its start was this import.
    from sqlalchemy import URL

    options = Options("SERVER", environ)
    host = options.text("DB_HOST", "127.0.0.1")
    in_folder = host.startswith("/")
    return URL.create(
        "postgresql+psycopg",
        username=options.text("DB_USER", "lossline"),
        password=options.secret("DB_PASS"),
        host=None if in_folder else host,
        port=None if in_folder and options.get("DB_PORT") is None else options.integer("DB_PORT", 5432, least=1),
        database=options.text("DB_NAME", "lossline"),
        query={"host": host} if in_folder else database_tls(options),
    )


def database_tls(options: Options) -> dict[str, str]:
    """What libpq must know of TLS, in its words; empty where nothing is set. Raises BadSetting."""
    files = tls_files(options, "DB_SSL_CA_CERTS", "DB_SSL_CERTFILE", "DB_SSL_KEYFILE") or TlsFiles()
    # The reference writes it as the end of a URL.
    mode = options.text("DB_SSL_MODE", "verify-full" if files.authorities else "").removeprefix("?sslmode=")
    if mode and mode not in SSL_MODES:
        raise BadSetting(options.variable("DB_SSL_MODE"), mode, f"one of {', '.join(SSL_MODES)}")
    if mode.startswith("verify") and not files.authorities:
        wanted = f"the file that the database's certificate is checked by, for {options.variable('DB_SSL_MODE')}={mode}"
        raise BadSetting(options.variable("DB_SSL_CA_CERTS"), "", wanted)
    said = {"sslmode": mode, "sslrootcert": files.authorities, "sslcert": files.certificate, "sslkey": files.key}
    return {name: value for name, value in said.items() if value}


def tls_files(options: Options, authorities: str, certificate: str, key: str) -> TlsFiles | None:
    """The files that three options name; None where none is set. Raises BadSetting for one that cannot be used."""
    trust = trusted(options, authorities)
    files = TlsFiles(trust, options.text(certificate, "") or None, options.text(key, "") or None)
    if files.key and not files.certificate:
        raise BadSetting(options.variable(certificate), "", "the file with the certificate that the key belongs to")
    _look_at(files, options.variable(certificate))
    return files if files.authorities or files.certificate else None


def trusted(options: Options, authorities: str) -> str | None:
    """The file of authorities that an option names; None where it is not set. Raises BadSetting."""
    path = options.text(authorities, "") or None
    _look_at(TlsFiles(path), options.variable(authorities))
    return path


def _look_at(files: TlsFiles, variable: str) -> None:
    if files == TlsFiles():
        return
    try:
        client_context(files)
    except BadPem as error:
        raise BadSetting(variable, error.path, error.wanted) from error


def broker_url(environ: Mapping[str, str]) -> str:
    """Where the broker is: `OASIS_CELERY_BROKER_URL` or `OASIS_BROKER_URL`, else put together from `OASIS_RABBIT_*`.

    With `OASIS_CELERY_BROKER_SSL_*` it is over TLS, whatever the URL begins with. Raises BadSetting.
    """
    options = Options("CELERY", environ)
    files = tls_files(options, "BROKER_SSL_CA_CERTS", "BROKER_SSL_CERTFILE", "BROKER_SSL_KEYFILE")
    plain = options.secret("BROKER_URL") or _broker_url_of_parts(options, 5671 if files else 5672)
    return with_tls(plain, files) if files else plain


def _broker_url_of_parts(options: Options, usual_port: int) -> str:
    user = quote(options.text("RABBIT_USER", "rabbit"), safe="")
    password = quote(options.secret("RABBIT_PASS") or "rabbit", safe="")
    host = options.text("RABBIT_HOST", "127.0.0.1")
    return f"amqp://{user}:{password}@{host}:{options.integer('RABBIT_PORT', usual_port, least=1)}/"


def broker_prepared(environ: Mapping[str, str]) -> bool:
    """Whether exchanges and queues are made by `lossline prepare`, and a service may make no other's."""
    return Options("CELERY", environ).flag("BROKER_PREPARED", default=False)
