"""Texts that are too long, or that nothing can store: refused by every field, and nothing is changed."""

import pytest

from tests.api.api_client import Api


@pytest.mark.parametrize("text", ["x" * 10_240, "a\0b", "\ud800"])
def test_every_text_of_a_request_has_an_end_and_can_be_stored(api: Api, text: str) -> None:
    analysis, data_file = api.analysis(), api.create("data_files/", {"file_description": "rates"})
    whole = {
        "models/": {"supplier_id": "a", "model_id": "b", "version_id": "c", "groups": []},
        "portfolios/": {"name": "a", "groups": []},
        "data_files/": {"file_description": "a", "file_category": "b"},
        "analyses/": {"name": "a", "portfolio": 1},
        f"analyses/{analysis['id']}/copy/": {"name": "a"},
        "models/1/setting_templates/": {"name": "a", "description": "b"},
        "portfolios/1/reporting_currency/": {"reporting_currency": "EUR"},
        "portfolios/1/create_analysis/": {"name": "a", "model": 1},
        f"data_files/{data_file['id']}/": {"file_description": "a"},
    }
    before = [api.get(path).json for path in ("models/", "portfolios/", "data_files/", "analyses/")]

    for path, body in whole.items():
        ask = api.put if path.startswith("data_files/1") else api.post
        for field, value in body.items():
            wrong = body | {field: [text] if isinstance(value, list) else text}
            answer = ask(path, wrong)
            assert answer.status_code == 400, (path, field, answer.text)
            assert list(answer.json or {}) == ([field] if len(text) > 3 else ["detail"]), (path, field)

    assert [api.get(path).json for path in ("models/", "portfolios/", "data_files/", "analyses/")] == before
