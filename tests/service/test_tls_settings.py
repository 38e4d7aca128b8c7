"""Settings of TLS: files are looked at once, and what cannot be used is named with what to do."""

import subprocess
from pathlib import Path

import pytest

from shared.object_store import InvalidObjectStoreSettings, ObjectStoreSettings
from shared.settings import BadSetting, broker_url, database_url
from tests.fakes.tls import Certificates, make_certificates

BROKER = "OASIS_CELERY_BROKER_SSL_CA_CERTS"
DATABASE = "OASIS_SERVER_DB_SSL_CA_CERTS"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_a_broker_with_an_authority_is_reached_over_tls_at_its_usual_port(certificates: Certificates):
    url = broker_url({"OASIS_RABBIT_HOST": "rabbitmq", BROKER: certificates.authorities})

    assert url.startswith("amqps://rabbit:rabbit@rabbitmq:5671/?cafile=%2F")


def test_a_url_keeps_its_port_its_virtual_host_and_its_query(certificates: Certificates):
    url = broker_url(
        {"OASIS_CELERY_BROKER_URL": "amqp://a%2Fb:c@host:1/%2Fv?heartbeat=9", BROKER: certificates.authorities}
    )

    assert url.startswith("amqps://a%2Fb:c@host:1/%2Fv?heartbeat=9&cafile=%2F")


def test_without_tls_nothing_is_added():
    assert broker_url({"OASIS_CELERY_BROKER_URL": "amqp://host//"}) == "amqp://host//"
    assert not database_url({}).query


def test_a_database_with_an_authority_must_prove_who_it_is(certificates: Certificates):
    query = database_url({DATABASE: certificates.authorities}).query

    assert query == {"sslmode": "verify-full", "sslrootcert": certificates.authorities}


def test_the_mode_may_be_written_as_the_reference_writes_it():
    assert database_url({"OASIS_SERVER_DB_SSL_MODE": "?sslmode=require"}).query == {"sslmode": "require"}


def test_the_database_s_socket_needs_no_tls(certificates: Certificates):
    environ = {"OASIS_SERVER_DB_HOST": "/run/postgres", DATABASE: certificates.authorities}

    assert database_url(environ).query == {"host": "/run/postgres"}


def test_the_store_s_authority_takes_the_place_of_true(certificates: Certificates):
    backend = ObjectStoreSettings.from_environ(store_with(certificates.authorities)).backend

    assert (backend.verify_certificates, backend.authorities) == (True, certificates.authorities)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), ("not PEM", "it holds nothing of that kind"), ("", "it holds nothing")],
)
def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path, content: str | None, reason: str):
    path = tmp_path / "authorities"
    if content is not None:
        path.write_text(content)

    for read, variable in ((broker_url, BROKER), (database_url, DATABASE)):
        with pytest.raises(BadSetting, match=f"{variable} is '{path}': set it to a file with .*{reason}"):
            read({variable: str(path)})
    with pytest.raises(InvalidObjectStoreSettings, match=f"AWS_S3_VERIFY.*{path}.*{reason}"):
        ObjectStoreSettings.from_environ(store_with(str(path)))


def test_a_certificate_whose_key_is_another_s_is_named(certificates: Certificates):
    folder = certificates.folder
    environ = {BROKER: certificates.authorities, "OASIS_CELERY_BROKER_SSL_CERTFILE": str(folder / "certificate_proxy")}

    with pytest.raises(BadSetting, match=r"OASIS_CELERY_BROKER_SSL_CERTFILE is .*KEY_VALUES_MISMATCH"):
        broker_url(environ | {"OASIS_CELERY_BROKER_SSL_KEYFILE": str(folder / "key_objects")})


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(certificates: Certificates, tmp_path: Path):
    key, certificate = tmp_path / "key", certificates.folder / "certificate_proxy"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", certificates.folder / "key_proxy"]
    subprocess.run([*command, "-out", key], check=True, capture_output=True)
    environ = {
        "OASIS_CELERY_BROKER_SSL_CERTFILE": str(certificate),
        "OASIS_CELERY_BROKER_SSL_KEYFILE": str(key),
    }

    with pytest.raises(BadSetting, match="OASIS_CELERY_BROKER_SSL_CERTFILE is"):
        broker_url(environ)


def test_a_key_without_a_certificate_is_refused(certificates: Certificates):
    with pytest.raises(BadSetting, match="SSL_CERTFILE is '': set it to the file with the certificate"):
        broker_url({"OASIS_CELERY_BROKER_SSL_KEYFILE": str(certificates.folder / "key_proxy")})


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [("sometimes", "DB_SSL_MODE is 'sometimes': set it to one of disable"), ("verify-ca", "DB_SSL_CA_CERTS is ''")],
)
def test_a_mode_that_cannot_be_is_refused(mode: str, sentence: str):
    with pytest.raises(BadSetting, match=sentence):
        database_url({"OASIS_SERVER_DB_SSL_MODE": mode})


def store_with(verify: str) -> dict[str, str]:
    return {"OASIS_STORAGE_TYPE": "s3", "OASIS_AWS_BUCKET_NAME": "lossline", "OASIS_AWS_S3_VERIFY": verify}
