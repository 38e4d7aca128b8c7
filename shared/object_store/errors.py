"""What an object store may raise.

ObjectStoreError
├── ObjectNotFound              there is no object under this key
├── InvalidKey                  the key breaks the rules of `keys.py`, or names a folder where an object should be
├── InvalidObjectStoreSettings  the configuration cannot describe a store
├── ObjectStoreUnavailable      try again later (`retryable` is True)
└── ObjectStoreDenied           wrong or missing rights: trying again does not help

Adapters map every foreign error (OSError, minio, urllib3) into this tree; the foreign error is the cause.
"""

from typing import ClassVar


class ObjectStoreError(Exception):
    """The object store failed."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, *, key: str | None = None) -> None:
        super().__init__(message or self.__doc__)
        self.key = key


class ObjectNotFound(ObjectStoreError):
    """There is no object under this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"There is no object {key!r} in the store.", key=key)


class InvalidKey(ObjectStoreError):
    """This is not a key of an object."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"The object key {key!r} cannot be used: {reason}.", key=key)
        self.reason = reason


class InvalidObjectStoreSettings(ObjectStoreError):
    """The settings of the object store are incomplete or contradictory."""

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"The setting {option} of the object store cannot be used: {reason}.")
        self.option = option
        self.reason = reason


class ObjectStoreUnavailable(ObjectStoreError):
    """The object store does not answer, or not properly; try again later."""

    retryable = True


class ObjectStoreDenied(ObjectStoreError):
    """The object store refuses access; check its credentials and rights."""
