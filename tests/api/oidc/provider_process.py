"""An OpenID Connect provider for tests, made with Authlib, as a process of its own: `python -m … PORT`.

Besides what providers do, it signs whatever claims a test wants (`/sign`), and gives itself new keys (`/rotate`).
"""

import os
import sys
from dataclasses import replace
from typing import Any
from uuid import uuid4

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, Response, request
from joserfc import jwt
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.api.oidc.provider_world import CLIENTS, USERS, Client, Code, Keys, Refresh, claims_of

app = Flask("provider")
server = AuthorizationServer()
KEYS = Keys()
CODES: dict[str, Code] = {}
REFRESH: dict[str, Refresh] = {}
FORM_AND_BASIC = ["client_secret_basic", "client_secret_post"]


class Credentials(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = FORM_AND_BASIC


class AuthorizationCode(grants.AuthorizationCodeGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = FORM_AND_BASIC

    def save_authorization_code(self, code: str, request: Any) -> None:
        payload = request.payload
        CODES[code] = Code(code, request.client.name, request.user.sub, payload.redirect_uri, payload.scope or "")

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found = CODES.get(code)
        return found if found and found.client_id == client.name else None

    def delete_authorization_code(self, authorization_code: Code) -> None:
        CODES.pop(authorization_code.code, None)

    def authenticate_user(self, authorization_code: Code) -> Any:
        return USERS.get(authorization_code.sub)


class RefreshGrant(grants.RefreshTokenGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = FORM_AND_BASIC
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> Refresh | None:
        return REFRESH.get(refresh_token)

    def authenticate_user(self, refresh_token: Refresh) -> Any:
        return USERS.get(refresh_token.sub)

    def revoke_old_credential(self, refresh_token: Refresh) -> None:
        REFRESH.pop(refresh_token.token, None)


class Generator(JWTBearerTokenGenerator):  # type: ignore[misc]
    def get_jwks(self) -> Any:
        return KEYS.private("RS256")

    def get_extra_claims(self, client: Client, _grant_type: str, user: Any, _scope: str) -> dict[str, Any]:
        return claims_of(client, user)


def save_token(token: dict[str, Any], asked: Any) -> None:
    if "refresh_token" in token:
        REFRESH[token["refresh_token"]] = Refresh(token["refresh_token"], asked.client.name, asked.user.sub)


def prepare(issuer: str) -> None:
    app.config["ISSUER"] = issuer
    server.init_app(app, query_client=CLIENTS.get, save_token=save_token)
    server.register_token_generator("default", Generator(issuer, refresh_token_generator=lambda *_, **__: uuid4().hex))
    for grant in (Credentials, AuthorizationCode, RefreshGrant):
        server.register_grant(grant)


@app.get("/.well-known/openid-configuration")
def discovery() -> dict[str, Any]:
    issuer = app.config["ISSUER"]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "end_session_endpoint": f"{issuer}/logout",
        "jwks_uri": f"{issuer}/keys",
        "token_endpoint_auth_methods_supported": FORM_AND_BASIC,
        "scopes_supported": ["openid", "profile", "offline_access"],
    }


@app.get("/keys")
def public_keys() -> dict[str, Any]:
    return KEYS.public()


@app.post("/token")
def token() -> Response:
    return server.create_token_response()


@app.get("/authorize")
def authorize() -> Response:
    """Whoever `login_hint` names has said yes."""
    user = USERS[request.args.get("login_hint", "sub-bo")]
    return server.create_authorization_response(grant_user=user, grant=server.get_consent_grant(end_user=user))


@app.get("/userinfo")
def userinfo() -> Any:
    token = request.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, KEYS.all_public(), algorithms=["RS256", "ES256"]).claims
    user = USERS.get(claims["sub"])
    if user is None:
        return {"error": "insufficient_scope"}, 403
    return {"sub": user.says or user.sub, "groups": list(user.groups), "preferred_username": user.name}


@app.post("/sign")
def sign() -> str:
    body = request.get_json()
    algorithm = body["alg"]
    return jwt.encode({"alg": algorithm, **body["header"]}, body["claims"], KEYS.private(algorithm))


@app.post("/regroup")
def regroup() -> str:
    body = request.get_json()
    USERS[body["sub"]] = replace(USERS[body["sub"]], groups=tuple(body["groups"]))
    return ""


@app.post("/rotate")
def rotate() -> str:
    KEYS.rotate()
    return ""


class Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        pass


def main() -> None:
    port = int(sys.argv[1])
    prepare(f"http://127.0.0.1:{port}")
    listener = make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet)
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    listener.serve_forever()


if __name__ == "__main__":
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    main()
