"""What a store may be able to do besides: let clients that it does not know read or put one object, by a signature."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class UploadForm:
    """A form that may be sent to `url`: these fields, then the content as the field `file`."""

    url: str
    fields: Mapping[str, str]


class Presigner(ABC):
    """Signs requests of clients for the address that they see. Asks nobody; raises ObjectStoreDenied without a key."""

    @abstractmethod
    def download_url(self, key: str, content_type: str, disposition: str, good_for: timedelta) -> str:
        """Where this object can be had, with these headers in the answer. It need not exist."""

    @abstractmethod
    def upload_form(self, key: str, content_type: str, largest: int, good_for: timedelta) -> UploadForm:
        """How an object of this type and of 1 to `largest` bytes can be put; the store refuses any other."""
