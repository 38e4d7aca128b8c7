"""What the service reads of its environment, and when it refuses to start."""

from datetime import timedelta
from pathlib import Path

import pytest

from services.api.auth.limits import LoginLimits
from services.api.presigned_settings import Presigned, PresignedSettings
from services.api.settings import ApiSettings, InsecureSettings
from shared.object_store import S3Settings
from shared.settings import BadSetting

KEY = {"OASIS_SERVER_SECRET_KEY": "d8ed5f0a5a9d4e4f"}


def test_defaults_listen_on_this_machine_only() -> None:
    settings = ApiSettings.from_environ(KEY)

    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.auth.access_lifetime == timedelta(hours=1)
    assert settings.priority_admin_levels == (8, 9, 10)


def test_a_missing_key_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadSetting, match="OASIS_SERVER_SECRET_KEY"):
        ApiSettings.from_environ({})


def test_no_key_is_needed_where_nobody_is_asked_who_they_are() -> None:
    assert ApiSettings.from_environ({"OASIS_API_AUTH_TYPE": "disabled"}).auth.disabled


def test_the_token_key_comes_before_the_secret_key() -> None:
    environ = KEY | {"OASIS_SERVER_TOKEN_SIGINING_KEY": "another"}

    assert ApiSettings.from_environ(environ).auth.signing_key == "another"


@pytest.mark.parametrize(
    "names", [("SERVICE_USERNAME_OR_ID", "SERVICE_PASSWORD_OR_SECRET"), ("ADMIN_USER", "ADMIN_PASS")]
)
def test_the_administrator_may_have_the_old_names(names: tuple[str, str]) -> None:
    environ = KEY | {f"OASIS_{names[0]}": "root", f"OASIS_{names[1]}": "hidden"}
    administrator = ApiSettings.from_environ(environ).auth.administrator

    assert administrator is not None
    assert (administrator.username, administrator.password) == ("root", "hidden")


@pytest.mark.parametrize(
    "environ",
    [
        {"OASIS_SERVER_SECRET_KEY": "OmuudYrSFVxcIVIWf6YlYdkP6NXApP"},
        KEY | {"OASIS_SERVICE_USERNAME_OR_ID": "admin", "OASIS_SERVICE_PASSWORD_OR_SECRET": "password"},
    ],
)
def test_well_known_secrets_are_refused_where_others_can_connect(environ: dict[str, str]) -> None:
    assert ApiSettings.from_environ(environ).host == "127.0.0.1"
    with pytest.raises(InsecureSettings):
        ApiSettings.from_environ(environ | {"OASIS_API_HOST": "0.0.0.0"})  # noqa: S104 - that is what is refused


def test_what_counts_for_well_known_secrets_is_the_address_that_is_published() -> None:
    environ = KEY | {"OASIS_API_HOST": "0.0.0.0"}  # noqa: S104 - within a container
    known = {"OASIS_SERVICE_USERNAME_OR_ID": "admin", "OASIS_SERVICE_PASSWORD_OR_SECRET": "password"}
    assert ApiSettings.from_environ(environ | known | {"OASIS_API_PUBLISHED_HOST": "127.0.0.1"}).host == "0.0.0.0"  # noqa: S104
    with pytest.raises(InsecureSettings, match=r"listen on 192\.0\.2\.7"):
        ApiSettings.from_environ(environ | known | {"OASIS_API_PUBLISHED_HOST": "192.0.2.7"})


def test_keys_of_the_object_store_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("an-id\n")
    (tmp_path / "secret").write_text("hidden\n")
    names = {"OASIS_AWS_ACCESS_KEY_ID_FILE": "key", "OASIS_AWS_SECRET_ACCESS_KEY_FILE": "secret"}
    environ = KEY | {name: str(tmp_path / file) for name, file in names.items()}
    store = ApiSettings.from_environ(environ | {"OASIS_STORAGE_TYPE": "s3", "OASIS_AWS_BUCKET_NAME": "b"}).store.backend
    assert isinstance(store, S3Settings)
    assert (store.access_key_id, store.secret_access_key) == ("an-id", "hidden")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OASIS_API_AUTH_TYPE", "kerberos"),
        ("OASIS_SERVER_TOKEN_ACCESS_LIFETIME", "soon"),
        ("OASIS_SERVER_TOKEN_ACCESS_LIFETIME", "hours=0"),
        ("OASIS_SERVER_ANALYSIS_PRIORITY_ADMIN_LEVELS", "high"),
        ("OASIS_SERVER_PRESIGNED_DOWNLOADS", "sometimes"),
        ("OASIS_AWS_QUERYSTRING_EXPIRE", "604801"),
        ("OASIS_AWS_QUERYSTRING_EXPIRE", "0"),
    ],
)
def test_settings_that_cannot_be_used_are_named(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=name):
        ApiSettings.from_environ(KEY | {name: value})


def test_secrets_are_not_printed() -> None:
    environ = KEY | {"OASIS_SERVICE_USERNAME_OR_ID": "admin", "OASIS_SERVICE_PASSWORD_OR_SECRET": "hidden"}

    printed = repr(ApiSettings.from_environ(environ | {"OASIS_DB_PASS": "covered"}))
    assert all(secret not in printed for secret in ("d8ed5f0a5a9d4e4f", "hidden", "covered"))


def test_limits_are_read() -> None:
    settings = ApiSettings.from_environ(
        KEY
        | {
            "OASIS_SERVER_LOGIN_FAILURES": "3",
            "OASIS_SERVER_LOGIN_WINDOW": "hours=1",
            "OASIS_SERVER_UPLOAD_LIMIT": "1000000",
            "OASIS_SERVER_JSON_LIMIT": "2048",
            "OASIS_API_PROXIES": "2",
            "OASIS_SERVER_PRESIGNED_DOWNLOADS": "Asked",
            "OASIS_SERVER_PRESIGNED_UPLOADS": "True",
            "OASIS_PORTFOLIO_PARQUET_STORAGE": "True",
            "OASIS_AWS_QUERYSTRING_EXPIRE": "60",
            "OASIS_SERVER_DISABLE_V2_API": "True",
        }
    )

    assert settings.auth.login_limits == LoginLimits(3, timedelta(hours=1))
    assert (settings.upload_limit, settings.json_limit, settings.proxies) == (1_000_000, 2048, 2)
    assert settings.disable_v2
    assert settings.parquet_storage
    assert settings.presigned == PresignedSettings(Presigned.ASKED, uploads=True, good_for=timedelta(minutes=1))
