"""What a request may be refused with, each with the exact body that clients of the Oasis platform know.

ApiError
├── BadRequest            400, any structure
├── BadToken              401, only from access_token/ and refresh_token/
├── NotAuthenticated      403: the reference answers so where others say 401
├── Forbidden             403
├── NotFound              404, an object that is not there
├── MethodNotAllowed      405
├── NotAcceptable         406
├── TooLarge              413, more bytes than a setting allows
├── UnsupportedMediaType  415
├── OutOfRange            416, a part of a file that it does not have
├── TooManyAttempts       429, somebody guesses passwords
└── Unavailable           503, try again later
    └── ProviderDown      503, the OpenID Connect provider does not answer
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class ApiError(Exception):
    """The request is refused."""

    status: ClassVar[int] = 500

    def __init__(self, body: Any = None, *, headers: Mapping[str, str] | None = None) -> None:
        self.body = {"detail": self.__doc__} if body is None else body
        self.headers = dict(headers or {})
        super().__init__(f"{self.status} {self.body}")


class BadRequest(ApiError):
    """The request cannot be understood."""

    status = 400


class BadToken(ApiError):
    """No active account found with the given credentials"""

    status = 401

    def __init__(self, body: Any = None) -> None:
        super().__init__(body, headers={"WWW-Authenticate": 'Bearer realm="api"'})


class NotAuthenticated(ApiError):
    """Authentication credentials were not provided."""

    status = 403


class Forbidden(ApiError):
    """You do not have permission to perform this action."""

    status = 403


class NotFound(ApiError):
    """Not found."""

    status = 404


class MethodNotAllowed(ApiError):
    """This method is not allowed."""

    status = 405

    def __init__(self, method: str, allowed: list[str]) -> None:
        super().__init__({"detail": f'Method "{method}" not allowed.'}, headers={"Allow": ", ".join(allowed)})


class NotAcceptable(ApiError):
    """Could not satisfy the request Accept header."""

    status = 406


class UnsupportedMediaType(ApiError):
    """The media type of the request is not supported."""

    status = 415

    def __init__(self, media_type: str) -> None:
        super().__init__({"detail": f'Unsupported media type "{media_type}" in request.'})


class TooLarge(ApiError):
    """The request is too large."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__({"detail": f"The request is too large: at most {limit} bytes are taken here."})


class OutOfRange(ApiError):
    """The file does not have the bytes that are asked for."""

    status = 416

    def __init__(self, size: int) -> None:
        super().__init__(headers={"Content-Range": f"bytes */{size}"})


class TooManyAttempts(ApiError):
    """Logging in has failed too often."""

    status = 429

    def __init__(self, seconds: int) -> None:
        text = f"Request was throttled. Expected available in {seconds} seconds."
        super().__init__({"detail": text}, headers={"Retry-After": str(seconds)})


class Unavailable(ApiError):
    """A service that this one depends on does not answer. Try again later."""

    status = 503


class ProviderDown(Unavailable):
    """The OpenID Connect provider does not answer. Try again later."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
        """For the log."""
