"""How the token endpoint is asked, and what its answers mean."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import pytest

from services.api.errors import ProviderDown
from services.api.oidc.grants import Client, GrantRefused, Tokens, ask_for_tokens
from services.api.oidc.metadata import Metadata
from services.api.oidc.wire import Answer, Wire

CLIENT = Client("a client", "a: secret%")


class Answering(Wire):
    """Answers without a network, and keeps what it was sent."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self._answer = Answer(status, body)
        self.url = ""
        self.form: Mapping[str, str] = {}
        self.headers: Mapping[str, str] = {}

    def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        self.url, self.form, self.headers = url, form, headers
        return self._answer


def metadata(takes_form: bool) -> Metadata:
    return Metadata("i", "j", "t", None, None, None, takes_form, ())


def asked(status: int, body: Mapping[str, Any], *, takes_form: bool = True) -> tuple[Tokens, Answering]:
    wire = Answering(status, body)
    return ask_for_tokens(wire, metadata(takes_form), CLIENT, {"grant_type": "x"}), wire


def test_a_client_says_who_it_is_as_the_provider_takes_it() -> None:
    by_form = asked(200, {"access_token": "t"})[1]
    by_header = asked(200, {"access_token": "t"}, takes_form=False)[1]

    assert by_form.form == {"grant_type": "x", "client_id": "a client", "client_secret": "a: secret%"}
    assert by_form.url == "t"
    assert (by_form.headers, by_header.form) == ({}, {"grant_type": "x"})
    assert b64decode(by_header.headers["Authorization"].removeprefix("Basic ")) == b"a+client:a%3A+secret%25"


def test_answers_are_read_whatever_they_leave_out() -> None:
    assert asked(200, {"access_token": "t"})[0] == Tokens("t", 60.0)
    whole = {"access_token": "t", "expires_in": "30", "refresh_token": "r", "id_token": "i"}
    assert asked(200, whole)[0] == Tokens("t", 30.0, "r", "i")


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_told_by_its_word(status: int) -> None:
    with pytest.raises(GrantRefused, match="invalid_client"):
        asked(status, {"error": "invalid_client"})


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, {}), (302, {}), (200, {}), (200, {"access_token": 7}), (200, {"access_token": "t", "expires_in": "soon"})],
)
def test_what_is_no_answer_to_a_grant_is_as_none(status: int, body: dict[str, Any]) -> None:
    with pytest.raises(ProviderDown):
        asked(status, body)
