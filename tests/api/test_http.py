"""Paths, negotiation and bodies: oasis_api.md section 0."""

from collections.abc import Callable

import pytest

from tests.api.api_client import BOUNDARY, Api


@pytest.mark.parametrize("path", ["/healthcheck/", "/api/healthcheck/"])
def test_everything_is_served_at_the_root_and_below_api(api: Api, path: str) -> None:
    answer = api.get(path)

    assert (answer.status_code, answer.data) == (200, b'{"status":"OK"}')
    assert answer.headers["Content-Type"] == "application/json"


def test_the_second_version_can_be_left_out(api: Api, api_with: Callable[..., Api]) -> None:
    first = api_with(disable_v2=True)
    first.headers = api.headers

    assert first.get("/v2/models/").status_code == first.get("/api/v2/models/").status_code == 404
    assert first.get("/v1/models/").status_code == api.get("/v2/models/").status_code == 200


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_get_without_a_slash_is_redirected_to_a_relative_path(api: Api, prefix: str) -> None:
    answer = api.get(f"{prefix}/v2/models?supplier_id=a%20b")

    assert answer.status_code == 301
    assert answer.headers["Location"] == f"{prefix}/v2/models/?supplier_id=a%20b"


def test_other_methods_are_accepted_without_a_slash(api: Api) -> None:
    created = api.post("portfolios", {"name": "one"})

    assert created.status_code == 201
    assert created.json is not None
    assert api.patch(f"portfolios/{created.json['id']}", {"name": "two"}).status_code == 200
    assert api.delete(f"portfolios/{created.json['id']}").status_code == 204


def test_an_unknown_path_is_a_page(api: Api) -> None:
    answer = api.get("/v3/models/")

    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("pk", ["99", "abc", "-1", "99999999999999999999999"])
def test_an_unknown_object_is_json(api: Api, pk: str) -> None:
    answer = api.get(f"analyses/{pk}/")

    assert (answer.status_code, answer.json) == (404, {"detail": "Not found."})


def test_a_method_that_a_path_does_not_have_is_refused(api: Api) -> None:
    answer = api.post("analyses/1/input_file/")

    assert (answer.status_code, answer.json) == (405, {"detail": 'Method "POST" not allowed.'})
    assert answer.headers["Allow"] == "GET"


@pytest.mark.parametrize(("method", "allowed"), [("OPTIONS", "GET, POST"), ("TRACE", "GET, POST"), ("MAKE", None)])
def test_a_method_that_no_path_has_is_refused_alike(api: Api, method: str, allowed: str | None) -> None:
    answer = api.client.open("/v2/models/", method=method, headers=api.headers)

    assert (answer.status_code, answer.json) == (405, {"detail": f'Method "{method}" not allowed.'})
    assert allowed in (answer.headers["Allow"], None)


def test_a_client_that_takes_no_json_is_refused(api: Api) -> None:
    answer = api.get("models/", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.json) == (
        406,
        {"detail": "Could not satisfy the request Accept header."},
    )


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json", "text/html, application/json;q=0.1"])
def test_a_client_that_takes_json_among_others_is_served(api: Api, accept: str) -> None:
    assert api.get("models/", headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize(
    "body", [b"{", b'{"name": NaN}', b"\xff", b"[" * 100_000, '{"name": "a\\ud800"}'.encode("utf-16")]
)
def test_bad_json_is_refused(api: Api, body: bytes) -> None:
    answer = api.post("portfolios/", data=body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["detail"].startswith("JSON parse error - ")


def test_a_body_of_another_type_is_refused(api: Api) -> None:
    answer = api.post("portfolios/", data=b"<a/>", content_type="text/xml")

    assert (answer.status_code, answer.json) == (415, {"detail": 'Unsupported media type "text/xml" in request.'})


def test_a_form_is_as_good_as_json(api: Api) -> None:
    assert api.post("portfolios/", data={"name": "from a form"}).status_code == 201


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_may_hold_what_json_may(api: Api, content_type: str) -> None:
    # Given ids, numbers and lists as texts
    portfolio, model = api.portfolio(), api.model()
    files = [api.create("data_files/", {"file_description": name})["id"] for name in "ab"]
    form = {"name": "a", "portfolio": portfolio["id"], "model": model["id"], "priority": "7"}

    answer = api.post("analyses/", data=form | {"complex_model_data_files": files}, content_type=content_type)

    body = answer.json or {}
    assert (answer.status_code, body["model"], body["priority"]) == (201, model["id"], 7)
    assert body["complex_model_data_files"] == files
    # And fields that are left empty: null where there may be none, else as if they were not there
    empty = {"name": ["b", "c"], "model": "", "priority": "", "complex_model_data_files": ""}
    changed = api.patch(f"analyses/{body['id']}/", data=empty, content_type=content_type).json or {}
    assert (changed["name"], changed["model"], changed["priority"]) == ("c", None, 7)
    assert changed["complex_model_data_files"] == []


def test_an_empty_text_of_a_form_is_one(api: Api) -> None:
    answer = api.post("portfolios/", data={"name": ""})

    assert (answer.status_code, answer.json) == (400, {"name": ["This field may not be blank."]})


def test_links_follow_the_proxy_and_the_sub_path(api: Api) -> None:
    model = api.model()

    headers = {"X-Forwarded-Host": "models.example.org", "X-Forwarded-Proto": "https"}
    body = api.get(f"/api/v2/models/{model['id']}/", headers=headers).json

    assert model["settings"] == f"http://localhost/v2/models/{model['id']}/settings/"
    assert body is not None
    assert body["settings"] == f"https://models.example.org/api/v2/models/{model['id']}/settings/"


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"name": ["This field is required."]}),
        ({"name": None}, {"name": ["This field may not be null."]}),
        ({"name": "  "}, {"name": ["This field may not be blank."]}),
        ({"name": "x" * 256}, {"name": ["Ensure this field has no more than 255 characters."]}),
        ({"name": ["a"]}, {"name": ["Not a valid string."]}),
        ([1], {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
    ],
)
def test_wrong_fields_are_named(api: Api, body: object, errors: object) -> None:
    answer = api.post("portfolios/", body)

    assert (answer.status_code, answer.json) == (400, errors)
    assert api.get("portfolios/").json == []


@pytest.mark.parametrize("fields", [{f"a{number}": "x" for number in range(1001)}, {"name": "x" * 600_000}])
def test_a_form_of_too_many_fields_or_too_long_ones_is_refused(api: Api, fields: dict[str, str]) -> None:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    parts = "".join(f'{head}"{name}"\r\n\r\n{text}\r\n' for name, text in fields.items())
    body, content_type = f"{parts}--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"

    answer = api.post("portfolios/", data=body, content_type=content_type)

    assert (answer.status_code, answer.json) == (413, {"detail": "The form has too many fields, or too long ones."})


def test_json_may_begin_with_a_mark_of_its_order(api: Api) -> None:
    answer = api.post("portfolios/", data='\ufeff{"name": "x"}'.encode(), content_type="application/json")

    assert answer.status_code == 201


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_text_that_the_database_cannot_hold_is_refused(api: Api, text: str) -> None:
    assert api.post("portfolios/", {"name": f"a{text}b"}).status_code == 400
    assert api.get("portfolios/", query_string={"name": f"a{text}b".encode("utf-8", "replace")}).status_code in (
        200,
        400,
    )


def test_texts_are_trimmed(api: Api) -> None:
    assert api.create("portfolios/", {"name": "  homes "})["name"] == "homes"


def test_a_body_that_is_too_large_is_refused(api: Api) -> None:
    answer = api.post("portfolios/", data=b" " * (64 * 1024 * 1024 + 1), content_type="application/json")

    assert answer.status_code == 413
    assert answer.json is not None
    assert set(answer.json) == {"detail"}
