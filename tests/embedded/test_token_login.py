"""The client of the API logs in once, and again when its token is about to end."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from services.embedded.environment import Login
from services.embedded.errors import ApiRefused
from services.embedded.token_login import TokenLogin


@dataclass
class Api:
    """Gives a token for each login, and says what it was shown.

    `status`: of the answer to a login. `says`: status and body of the answer to a token that is refused.
    """

    status: int = 200
    says: tuple[int, dict[str, object]] = (403, {"code": "token_not_valid"})
    url: str = ""
    logins: list[dict[str, str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)


@pytest.fixture
def api() -> Iterator[Api]:
    told = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.logins.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(told.status, {"access_token": f"token-{len(told.logins)}", "expires_in": 10})

        def do_GET(self) -> None:
            shown = self.headers.get("Authorization")
            self._answer(*(told.says if shown in told.refused else (200, {"shown": shown})))

        def do_PUT(self) -> None:
            told.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.do_GET()

        def _answer(self, status: int, body: dict[str, object]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.url = f"http://127.0.0.1:{server.server_address[1]}/"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def shown(api: Api, login: TokenLogin) -> str | None:
    found: str | None = requests.get(api.url, auth=login, timeout=10).json()["shown"]
    return found


def test_one_login_serves_many_requests_until_its_token_is_about_to_end(api: Api) -> None:
    now = 100.0
    login = TokenLogin(api.url, Login("me", "hush"), verify=True, clock=lambda: now)
    assert [shown(api, login) for _ in range(3)] == ["Bearer token-1"] * 3
    now += 9.5
    assert shown(api, login) == "Bearer token-2"
    assert api.logins == [{"username": "me", "password": "hush"}] * 2


@pytest.mark.parametrize("says", [(401, {}), (403, {"detail": "Given token …", "code": "token_not_valid"})])
def test_a_request_whose_token_is_refused_goes_again_with_a_new_one(
    api: Api, says: tuple[int, dict[str, object]]
) -> None:
    login, api.says = TokenLogin(api.url, Login(), verify=True), says
    assert shown(api, login) == "Bearer token-1"
    api.refused.add("Bearer token-1")
    assert [shown(api, login) for _ in range(2)] == ["Bearer token-2"] * 2
    assert len(api.logins) == 2


def test_a_file_is_sent_again_from_where_it_began(api: Api, tmp_path: Path) -> None:
    login, file = TokenLogin(api.url, Login(), verify=True), tmp_path / "file"
    file.write_bytes(b"seen, and the rest")
    api.refused.add("Bearer token-1")
    with file.open("rb") as stream:
        stream.seek(6)
        assert requests.put(api.url, data=stream, auth=login, timeout=10).json() == {"shown": "Bearer token-2"}
    assert api.bodies == [b"and the rest"] * 2


def test_what_is_refused_with_the_new_token_too_is_answered_so(api: Api) -> None:
    api.refused |= {"Bearer token-1", "Bearer token-2"}
    login = TokenLogin(api.url, Login(), verify=True)
    assert requests.get(api.url, auth=login, timeout=10).status_code == 403
    assert len(api.logins) == 2


def test_what_an_account_may_not_do_is_no_reason_for_another_token(api: Api) -> None:
    api.refused.add("Bearer token-1")
    api.says = (403, {"detail": "You do not have permission to perform this action."})
    login = TokenLogin(api.url, Login(), verify=True)
    assert requests.get(api.url, auth=login, timeout=10).status_code == 403
    assert len(api.logins) == 1


def test_a_client_of_a_provider_shows_its_secret(api: Api) -> None:
    assert shown(api, TokenLogin(api.url, Login("me", "hush", by_provider=True), verify=True)) == "Bearer token-1"
    assert api.logins == [{"client_id": "me", "client_secret": "hush"}]


def test_where_accounts_get_no_tokens_none_is_shown(api: Api) -> None:
    api.status = 400
    login = TokenLogin(api.url, Login(), verify=True)
    assert [shown(api, login) for _ in range(2)] == [None, None]
    assert len(api.logins) == 1


def test_a_login_that_is_refused_says_so(api: Api) -> None:
    api.status = 401
    with pytest.raises(ApiRefused, match=r"POST access_token/ \(status 401\)"):
        shown(api, TokenLogin(api.url, Login(), verify=True))
