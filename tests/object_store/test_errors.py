"""Every foreign error becomes one of the object store's: the errors are enumerated, so that a new one fails here."""

import errno
import inspect
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import minio.error
import pytest
import urllib3.exceptions
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3 import HTTPResponse

from shared.object_store import (
    InvalidKey,
    ObjectNotFound,
    ObjectStoreDenied,
    ObjectStoreError,
    ObjectStoreUnavailable,
    errors,
)
from shared.object_store import directory_errors as files
from shared.object_store import s3_errors as s3

ROOT = Path("/store")
PLACE = "The S3 bucket b at http://s3"


def s3_error(code: str, status: int) -> S3Error:
    return S3Error(HTTPResponse(status=status), code, "message", "/b/key", "request", "host", "b", "key")


def subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_of_the_file_system_is_mapped(number: int) -> None:
    expected = {
        **dict.fromkeys([errno.EACCES, errno.EPERM, errno.EROFS], ObjectStoreDenied),
        **dict.fromkeys(
            [
                errno.ENOTDIR,
                errno.ELOOP,
                errno.EISDIR,
                errno.ENOTEMPTY,
                errno.EEXIST,
                errno.ENAMETOOLONG,
                errno.EILSEQ,
            ],
            InvalidKey,
        ),
    }.get(number, ObjectStoreUnavailable)

    with pytest.raises(ObjectStoreError) as caught, files.mapped("key", ROOT):
        raise OSError(number, "what the system says")

    assert type(caught.value) is expected
    assert caught.value.key == "key"
    assert isinstance(caught.value.__cause__, OSError)
    if expected is not InvalidKey:
        assert "/store" in str(caught.value)
        assert "what the system says" in str(caught.value)


def test_an_error_of_the_file_system_without_a_number_is_unavailable() -> None:
    with pytest.raises(ObjectStoreUnavailable, match="strange"), files.mapped(None, ROOT):
        raise OSError("strange")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        *[(s3_error(code, 400), ObjectStoreDenied) for code in sorted(s3.DENIED_CODES)],
        *[(s3_error(code, 400), InvalidKey) for code in sorted(s3.KEY_CODES)],
        *[(s3_error(code, 404), ObjectStoreUnavailable) for code in sorted(s3.RETRYABLE_CODES)],
        (s3_error("NoSuchKey", 404), ObjectNotFound),
        (s3_error("Unheard", 401), ObjectStoreDenied),
        (s3_error("Unheard", 403), ObjectStoreDenied),
        (s3_error("Unheard", 400), ObjectStoreError),
        (s3_error("MethodNotAllowed", 405), ObjectStoreError),
        (s3_error("Unheard", 409), ObjectStoreUnavailable),
        (s3_error("PreconditionFailed", 412), ObjectStoreUnavailable),
        (s3_error("Unheard", 429), ObjectStoreUnavailable),
        (s3_error("InternalError", 500), ObjectStoreUnavailable),
        (s3_error("InternalError", 200), ObjectStoreUnavailable),
        (s3_error("ServiceUnavailable", 503), ObjectStoreUnavailable),
        (ServerError("broken", 502), ObjectStoreUnavailable),
        (ServerError("refused", 403), ObjectStoreDenied),
        (ServerError("wrong", 400), ObjectStoreError),
        (InvalidResponseError(200, "text/html", "<html>"), ObjectStoreUnavailable),
        (ET.ParseError("cut off"), ObjectStoreUnavailable),
    ],
    ids=repr,
)
def test_every_answer_of_s3_is_mapped(error: Exception, expected: type[ObjectStoreError]) -> None:
    with pytest.raises(ObjectStoreError) as caught, s3.mapped("key", PLACE):
        raise error

    assert type(caught.value) is expected
    assert caught.value.key == "key"
    assert caught.value.__cause__ is error


def test_no_error_of_the_minio_client_is_unknown() -> None:
    assert set(subclasses(MinioException)) == {S3Error, ServerError, InvalidResponseError}
    others = {
        kind
        for _, kind in inspect.getmembers(minio.error, inspect.isclass)
        if issubclass(kind, Exception) and not issubclass(kind, MinioException)
    }
    assert {kind.__name__ for kind in others} == {"MinioAdminException"}  # of an API that is not used


@pytest.mark.parametrize("kind", sorted(set(subclasses(urllib3.exceptions.HTTPError)), key=lambda kind: kind.__name__))
def test_every_error_of_the_connection_is_unavailable(kind: type[BaseException]) -> None:
    error = kind.__new__(kind)  # their constructors have nothing in common
    error.__dict__.update(partial=0, expected=1, length=b"1")  # what some of them print

    with pytest.raises(ObjectStoreUnavailable, match="does not answer"), s3.mapped("key", PLACE):
        raise error


def test_errors_that_are_not_of_the_store_pass_through() -> None:
    for context in (files.mapped("key", ROOT), s3.mapped("key", PLACE)):
        with pytest.raises(ZeroDivisionError), context:
            raise ZeroDivisionError


def test_only_unavailable_stores_are_worth_another_try() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, ObjectStoreError)]

    assert {kind for kind in kinds if kind.retryable} == {ObjectStoreUnavailable}
    assert str(ObjectStoreUnavailable()) == ObjectStoreUnavailable.__doc__
