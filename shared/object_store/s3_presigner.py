"""Requests to an S3 server, signed for clients that have no key of their own (version 4)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from minio import Minio
from minio.datatypes import PostPolicy

from shared.object_store.presigned import Presigner, UploadForm


class S3Presigner(Presigner):
    """`signer` connects to nobody: it is for the address that clients see, and knows its region.

    `name` makes of a key the name of the object in the bucket.
    """

    def __init__(self, signer: Minio, url: str, bucket: str, name: Callable[[str], str]) -> None:
        self._signer = signer
        self._url = f"{url.rstrip('/')}/{bucket}"
        self._bucket = bucket
        self._name = name

    def download_url(self, key: str, content_type: str, disposition: str, good_for: timedelta) -> str:
        headers: dict[str, str | list[str] | tuple[str]] = {
            "response-content-type": content_type,
            "response-content-disposition": disposition,
        }
        return self._signer.presigned_get_object(self._bucket, self._name(key), good_for, response_headers=headers)

    def upload_form(self, key: str, content_type: str, largest: int, good_for: timedelta) -> UploadForm:
        # With a presigned PUT a client could send as much as it likes; a policy is checked by the store.
        policy, name = PostPolicy(self._bucket, datetime.now(UTC) + good_for), self._name(key)
        policy.add_equals_condition("key", name)
        policy.add_equals_condition("Content-Type", content_type)
        policy.add_content_length_range_condition(1, largest)
        signed = self._signer.presigned_post_policy(policy)
        return UploadForm(self._url, {"key": name, "Content-Type": content_type, **signed})
