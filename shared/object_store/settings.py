"""The settings of the object store, by the names of the Oasis platform (`OASIS_STORAGE_TYPE`, `OASIS_AWS_…`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from shared.object_store.errors import InvalidKey, InvalidObjectStoreSettings
from shared.object_store.keys import validate_key
from shared.tls import BadPem, TlsFiles, client_context

Lookup = Callable[[str], str | None]
"""From the name of an option without its prefix ("AWS_BUCKET_NAME") to its value, None where it is not set."""

_DIRECTORY_TYPES = frozenset({"local-fs", "shared-fs"})
_S3_TYPES = frozenset({"aws-s3", "s3", "aws"})
_TRUE = frozenset({"1", "yes", "true", "on"})
_FALSE = frozenset({"0", "no", "false", "off"})


@dataclass(frozen=True)
class DirectorySettings:
    """Objects are files below `root` (MEDIA_ROOT), which every service reaches under some path of its own."""

    root: Path


@dataclass(frozen=True)
class S3Settings:
    """Objects are in one bucket of an S3 server. Times are in seconds."""

    bucket: str  # AWS_BUCKET_NAME
    endpoint_url: str = "https://s3.amazonaws.com"  # AWS_S3_ENDPOINT_URL
    external_endpoint_url: str | None = None  # AWS_S3_EXTERNAL_ENDPOINT_URL; None where clients use the same
    region: str | None = None  # AWS_S3_REGION_NAME; None asks the server
    access_key_id: str | None = None  # AWS_ACCESS_KEY_ID; None takes the role of the container or machine
    secret_access_key: str | None = field(default=None, repr=False)  # AWS_SECRET_ACCESS_KEY
    session_token: str | None = field(default=None, repr=False)  # AWS_SECURITY_TOKEN
    location: str = ""  # AWS_LOCATION: a prefix of all keys, without slashes around it
    auto_create_bucket: bool = False  # AWS_AUTO_CREATE_BUCKET
    verify_certificates: bool = True  # AWS_S3_VERIFY
    authorities: str | None = None  # AWS_S3_VERIFY too: a file of those that are trusted; None: the usual ones
    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    retries: int = 3

    def __post_init__(self) -> None:
        _check_endpoint("AWS_S3_ENDPOINT_URL", self.endpoint_url)
        if self.external_endpoint_url:
            _check_endpoint("AWS_S3_EXTERNAL_ENDPOINT_URL", self.external_endpoint_url)
        if bool(self.access_key_id) != bool(self.secret_access_key):
            raise InvalidObjectStoreSettings(
                "AWS_ACCESS_KEY_ID", "it and AWS_SECRET_ACCESS_KEY must be set together, or neither"
            )
        if self.location:
            _check_location(self.location)


@dataclass(frozen=True)
class ObjectStoreSettings:
    """Where the objects are."""

    backend: DirectorySettings | S3Settings

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables `OASIS_<option>`. Raises InvalidObjectStoreSettings."""
        return cls.from_lookup(lambda option: environ.get(f"OASIS_{option}"))

    @classmethod
    def from_lookup(cls, lookup: Lookup) -> Self:
        """Read options by name, wherever the caller finds them. Raises InvalidObjectStoreSettings."""
        kind = (lookup("STORAGE_TYPE") or "shared-fs").strip().lower()
        if kind in _DIRECTORY_TYPES:
            return cls(DirectorySettings(Path(lookup("MEDIA_ROOT") or "/shared-fs/")))
        if kind in _S3_TYPES:
            return cls(_s3_settings(lookup))
        supported = ", ".join(sorted(_DIRECTORY_TYPES | _S3_TYPES))
        raise InvalidObjectStoreSettings("STORAGE_TYPE", f'"{kind}" is not supported, use one of {supported}')


def _s3_settings(lookup: Lookup) -> S3Settings:
    bucket = lookup("AWS_BUCKET_NAME")
    if not bucket:
        raise InvalidObjectStoreSettings("AWS_BUCKET_NAME", "S3 needs the name of a bucket")
    return S3Settings(
        bucket=bucket,
        endpoint_url=lookup("AWS_S3_ENDPOINT_URL") or S3Settings.endpoint_url,
        external_endpoint_url=lookup("AWS_S3_EXTERNAL_ENDPOINT_URL") or None,
        region=lookup("AWS_S3_REGION_NAME") or None,
        access_key_id=lookup("AWS_ACCESS_KEY_ID") or None,
        secret_access_key=lookup("AWS_SECRET_ACCESS_KEY") or None,
        session_token=lookup("AWS_SECURITY_TOKEN") or None,
        location=(lookup("AWS_LOCATION") or "").strip("/"),
        auto_create_bucket=_boolean(lookup, "AWS_AUTO_CREATE_BUCKET", default=False),
        **_verification(lookup("AWS_S3_VERIFY") or ""),
    )


def _boolean(lookup: Lookup, option: str, *, default: bool) -> bool:
    word = (lookup(option) or "").strip().lower()
    if not word:
        return default
    if word not in _TRUE | _FALSE:
        raise InvalidObjectStoreSettings(option, f'"{word}" is neither true nor false')
    return word in _TRUE


def _verification(said: str) -> dict[str, Any]:
    """As boto3 and with it the reference read it: yes, no, or the path of a file with authorities."""
    word = said.strip()
    if not word or word.lower() in _TRUE | _FALSE:
        return {"verify_certificates": word.lower() not in _FALSE}
    try:
        client_context(TlsFiles(authorities=word))
    except BadPem as error:
        raise InvalidObjectStoreSettings("AWS_S3_VERIFY", f"it is neither true nor false, and {error}") from error
    return {"authorities": word}


def _check_endpoint(option: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise InvalidObjectStoreSettings(option, "it must read http(s)://host[:port], without a path")
    if parts.username or parts.password:
        raise InvalidObjectStoreSettings(option, "it must not hold credentials")


def _check_location(location: str) -> None:
    try:
        validate_key(location)
    except InvalidKey as error:
        raise InvalidObjectStoreSettings("AWS_LOCATION", error.reason) from error
