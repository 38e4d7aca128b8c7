"""Health, and what this server is. Source: oasis_api.md section 1.1."""

import logging
from importlib.metadata import version
from typing import Any

from flask import Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from services.api.call import Call
from services.api.errors import ProviderDown
from services.api.http import json_answer
from services.api.oidc.provider import Provider
from services.api.perils import oed_version, peril_codes
from services.api.presigned_settings import Presigned
from services.api.settings import ApiSettings
from shared.object_store.settings import S3Settings

log = logging.getLogger(__name__)

PLATFORM_VERSION = "2.5.6"
"""The version of the Oasis platform whose API this is: clients compare it."""


def get_health(_call: Call) -> Response:
    """The process answers."""
    return json_answer({"status": "OK"})


def get_connections(call: Call) -> Response:
    """Whether the database and the broker answer, and the OpenID Connect provider where there is one."""
    failure = _failing_connection(call)
    return json_answer({"status": f"ERROR - {failure} down" if failure else "OK"}, 503 if failure else 200)


def get_peril_codes(call: Call) -> Response:
    """The peril codes of OED."""
    return json_answer(peril_codes(call.dependencies.settings.oed_version))


def get_server(call: Call) -> Response:
    """Versions and settings, no secrets among them."""
    settings = call.dependencies.settings
    components = {"ods_version": version("ods-tools"), "oed_version": oed_version(settings.oed_version)}
    config = _config(settings) | _auth_config(settings, call.dependencies.provider)
    return json_answer({"version": PLATFORM_VERSION, "config": config, "components": components})


def _failing_connection(call: Call) -> str | None:
    try:
        call.session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        log.warning("the database does not answer", exc_info=True)
        call.session.rollback()
        return "db"
    try:
        call.dependencies.check_broker()
    except Exception:
        log.warning("the broker does not answer", exc_info=True)
        return "celery v2"
    try:
        if call.dependencies.provider is not None:
            call.dependencies.provider.check()
    except ProviderDown:
        return "oidc provider"
    return None


def _config(settings: ApiSettings) -> dict[str, Any]:
    backend = settings.store.backend
    s3 = backend if isinstance(backend, S3Settings) else None
    return {
        "DEBUG": False,
        "LANGUAGE_CODE": "en-us",
        "TIME_ZONE": "UTC",
        "STORAGES": type(backend).__name__,
        "DB_ENGINE": settings.database.get_backend_name(),
        "STORAGE_TYPE": "s3" if s3 else "shared-fs",
        "MEDIA_ROOT": "" if isinstance(backend, S3Settings) else str(backend.root),
        "AWS_STORAGE_BUCKET_NAME": s3.bucket if s3 else "",
        "AWS_LOCATION": s3.location if s3 else "",
        "AWS_SHARED_BUCKET": s3 is not None,
        "AWS_QUERYSTRING_EXPIRE": str(int(settings.presigned.good_for.total_seconds())) if s3 else "",
        "AWS_QUERYSTRING_AUTH": s3 is not None and settings.presigned.downloads is not Presigned.NEVER,
    }


def _endpoints(provider: Provider) -> dict[str, Any]:
    metadata = provider.metadata
    return {
        "OIDC_OP_AUTHORIZATION_ENDPOINT": metadata.authorization,
        "OIDC_OP_TOKEN_ENDPOINT": metadata.token,
        "OIDC_OP_USER_ENDPOINT": metadata.userinfo,
        "OIDC_OP_JWKS_ENDPOINT": metadata.jwks,
        "OIDC_OP_LOGOUT_ENDPOINT": metadata.end_session,
    }


def _auth_config(settings: ApiSettings, provider: Provider | None) -> dict[str, Any]:
    auth = settings.auth
    if auth.disabled:
        return {"API_AUTH_TYPE": "disabled"}
    if provider is not None:
        return {"API_AUTH_TYPE": auth.kind, **_endpoints(provider)}
    return {
        "API_AUTH_TYPE": "simple_jwt",
        "ROTATE_REFRESH_TOKEN": auth.rotate_refresh,
        "ACCESS_TOKEN_LIFETIME": str(auth.access_lifetime.total_seconds()),
        "REFRESH_TOKEN_LIFETIME": str(auth.refresh_lifetime.total_seconds()),
    }
