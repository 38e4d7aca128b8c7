"""The audit says who did what to which resource when, for administrators only."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.database.accounts import AuditEntry
from tests.api.api_client import ANALYSIS_SETTINGS, LOCATIONS, Api


def _entries(api: Api, query: str = "") -> list[Any]:
    listed = api.get(f"audit/{query}").json
    assert isinstance(listed, list)
    return listed


def test_every_change_is_noted_with_its_resource(api: Api, user_api: Api) -> None:
    portfolio = user_api.portfolio(LOCATIONS)
    analysis = user_api.analysis(portfolio)
    url = f"analyses/{analysis['id']}/"
    user_api.post(f"{url}settings/", ANALYSIS_SETTINGS)
    user_api.post(f"{url}generate_inputs/")
    user_api.patch(url, {"name": "b"})
    user_api.delete(url)
    user_api.get("analyses/")

    said = [(each["action"], each["resource"], each["resource_id"]) for each in reversed(_entries(api, "?user=user"))]

    pk = analysis["id"]
    assert [name for name, _, _ in said[:1]] == ["log in"]
    assert said[1:] == [
        ("create", "portfolios", portfolio["id"]),
        ("create location_file", "portfolios", portfolio["id"]),
        ("create", "models", analysis["model"]),
        ("create", "analyses", pk),
        ("create settings", "analyses", pk),
        ("generate_inputs", "analyses", pk),
        ("change", "analyses", pk),
        ("delete", "analyses", pk),
    ]


def test_an_entry_has_exactly_these_keys(api: Api) -> None:
    portfolio = api.create("/api/v2/portfolios/", {"name": "a"})

    entry = _entries(api, "?limit=1")[0]

    assert entry.pop("at").endswith("Z")
    assert isinstance(entry.pop("id"), int)
    assert isinstance(entry.pop("user_id"), int)
    assert entry == {
        "user": "admin",
        "address": "127.0.0.1",
        "action": "create",
        "resource": "portfolios",
        "resource_id": portfolio["id"],
        "path": "/v2/portfolios/",
        "status": 201,
    }


def test_what_is_refused_changes_nothing_and_is_not_noted_but_failed_logins_are(api: Api, session: Session) -> None:
    before = len(_entries(api))
    api.post("portfolios/", {})
    api.delete("portfolios/9/")
    api.post("/access_token/", {"username": "admin", "password": "wrong"})

    assert len(_entries(api)) == before + 1
    failed = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1)).one()
    assert (failed.username, failed.action, failed.status, failed.user_id) == ("admin", "log in", 401, None)


def test_the_audit_is_for_administrators(api: Api, user_api: Api) -> None:
    answer = user_api.get("audit/")

    assert (answer.status_code, answer.json) == (
        403,
        {"detail": "You do not have permission to perform this action."},
    )
    assert api.get("/v1/audit/").status_code == 404
    assert api.delete("audit/").status_code == 405


def test_the_audit_is_filtered_and_paged(api: Api) -> None:
    pks = [api.create("portfolios/", {"name": "a"})["id"] for _ in range(5)]
    api.delete(f"portfolios/{pks[0]}/")

    assert len(_entries(api, f"?resource=portfolios&resource_id={pks[0]}")) == 2
    assert [each["action"] for each in _entries(api, "?action__contains=elet")] == ["delete"]
    assert _entries(api, "?at__lt=2020-01-01") == []
    assert _entries(api, "?address=192.0.2.1") == []
    assert len(_entries(api, "?address__contains=127.0.0&user=admin&action=create&limit=3")) == 3
    newest = [each["resource_id"] for each in _entries(api, "?action=create&limit=2&offset=1")]
    assert newest == pks[3:1:-1]
    assert api.get("audit/?limit=x").json == {"limit": ["Enter a whole number."]}
