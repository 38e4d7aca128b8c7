"""From errors of the minio client and urllib3 to errors of the object store."""

from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree import ElementTree as ET

from minio.error import MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from shared.object_store.errors import (
    InvalidKey,
    ObjectNotFound,
    ObjectStoreDenied,
    ObjectStoreError,
    ObjectStoreUnavailable,
)

FOREIGN = (MinioException, HTTPError, ET.ParseError)
"""Whatever minio raises for an answer, or the lack of one. (ParseError: an answer that was cut off.)"""

DENIED_CODES = frozenset(
    {
        "AccessDenied",
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidSecurity",
        "InvalidToken",
        "NotSignedUp",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
KEY_CODES = frozenset({"InvalidObjectName", "InvalidURI", "KeyTooLongError", "XMinioInvalidObjectName"})
RETRYABLE_CODES = frozenset({"NoSuchBucket", "NoSuchUpload", "RequestTimeout", "SlowDown"})
"""Although their HTTP status says that the request is at fault."""

_RETRYABLE_STATUS = frozenset({408, 409, 412, 425, 429})
_DENIED_STATUS = frozenset({401, 403})


def to_store_error(error: BaseException, key: str | None, place: str) -> ObjectStoreError:
    """The object store's error for one of FOREIGN; `place` names the bucket and its server.

    What is neither refused nor the key's fault is retryable, unless the server says that the request itself is wrong.
    """
    if isinstance(error, S3Error):
        return _from_code(error, key, place)
    if isinstance(error, ServerError):
        return _from_status(error.status_code, str(error), key, place)
    return ObjectStoreUnavailable(f"{place} does not answer, or not in S3's language: {error}", key=key)


def _from_code(error: S3Error, key: str | None, place: str) -> ObjectStoreError:
    code = error.code or ""
    facts = f"{code}: {error.message}"
    if code == "NoSuchKey" and key is not None:
        return ObjectNotFound(key)
    if code in KEY_CODES and key is not None:
        return InvalidKey(key, f"the server answers {facts}")
    if code in DENIED_CODES:
        return _denied(facts, key, place)
    if code in RETRYABLE_CODES:
        return ObjectStoreUnavailable(f"{place} cannot do this now ({facts}).", key=key)
    return _from_status(error.response.status, facts, key, place)


def _from_status(status: int, facts: str, key: str | None, place: str) -> ObjectStoreError:
    if status in _DENIED_STATUS:
        return _denied(facts, key, place)
    if status >= 500 or status < 400 or status in _RETRYABLE_STATUS:
        return ObjectStoreUnavailable(f"{place} cannot do this now ({facts}).", key=key)
    return ObjectStoreError(f"{place} does not accept the request ({facts}).", key=key)


def _denied(facts: str, key: str | None, place: str) -> ObjectStoreDenied:
    return ObjectStoreDenied(
        f"{place} refuses access ({facts}): check the access key, its rights and the clock.", key=key
    )


@contextmanager
def mapped(key: str | None, place: str) -> Iterator[None]:
    """Raise the object store's error for a FOREIGN error of the block."""
    try:
        yield
    except FOREIGN as error:
        raise to_store_error(error, key, place) from error
