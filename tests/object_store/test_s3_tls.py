"""An S3 server with a certificate of an authority of one's own."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared.object_store import ObjectStoreUnavailable, S3Settings
from shared.object_store.s3 import S3Store
from tests.fakes.tls import make_certificates, tls_in_front_of

pytestmark = pytest.mark.integration


@pytest.fixture
def over_tls(s3_settings: S3Settings, tmp_path: Path) -> Iterator[S3Settings]:
    certificates = make_certificates(tmp_path)
    place = urlsplit(s3_settings.endpoint_url)
    with tls_in_front_of(str(place.hostname), place.port or 80, certificates.server()) as port:
        url = f"https://127.0.0.1:{port}"
        yield replace(s3_settings, endpoint_url=url, authorities=certificates.authorities, retries=0)


def test_objects_are_stored_where_the_authority_is_trusted(over_tls: S3Settings) -> None:
    with S3Store(over_tls) as store:
        store.put("object", BytesIO(b"content"))
        with store.open("object") as stream:
            assert stream.read() == b"content"
        store.delete("object")


def test_a_server_that_another_has_signed_gets_nothing(over_tls: S3Settings, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_certificates(tmp_path / "other")
    for settings in (replace(over_tls, authorities=other.authorities), replace(over_tls, authorities=None)):
        with S3Store(settings) as store, pytest.raises(ObjectStoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            store.put("object", BytesIO(b"content"))
