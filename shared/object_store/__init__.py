"""The object store: bytes under keys, in a directory (local or a network share) or in S3."""

from shared.object_store.errors import (
    InvalidKey,
    InvalidObjectStoreSettings,
    ObjectNotFound,
    ObjectStoreDenied,
    ObjectStoreError,
    ObjectStoreUnavailable,
)
from shared.object_store.port import ObjectInfo, ObjectStore
from shared.object_store.presigned import Presigner, UploadForm
from shared.object_store.settings import DirectorySettings, ObjectStoreSettings, S3Settings

__all__ = [
    "DirectorySettings",
    "InvalidKey",
    "InvalidObjectStoreSettings",
    "ObjectInfo",
    "ObjectNotFound",
    "ObjectStore",
    "ObjectStoreDenied",
    "ObjectStoreError",
    "ObjectStoreSettings",
    "ObjectStoreUnavailable",
    "Presigner",
    "S3Settings",
    "UploadForm",
    "open_object_store",
]


def open_object_store(settings: ObjectStoreSettings) -> ObjectStore:
    """The store that the settings describe. Does no I/O: `check()` tells whether it can be used."""
    backend = settings.backend
    if isinstance(backend, DirectorySettings):
        from shared.object_store.directory import DirectoryStore

        return DirectoryStore(backend.root)
    # Imported here so that a process with files in a directory never loads the S3 client.
    from shared.object_store.s3 import S3Store

    return S3Store(backend)
