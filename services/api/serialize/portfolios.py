"""Portfolios. Source: oasis_api.md section 1.3."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.api.call import Call
from services.api.files import find_files, stored_name
from services.api.groups import group_names, groups_of
from services.api.serialize.moments import moment
from shared.database.resources import File, Portfolio

EXPOSURE_FIELDS = ("location_file", "accounts_file", "reinsurance_info_file", "reinsurance_scope_file")
CURRENCY_FIELD = "currency_conversion_json"
FILE_FIELDS = (*EXPOSURE_FIELDS, CURRENCY_FIELD)
_STATUSES = ("exposure_status", "validation_status", "exposure_transform_status")

Files = Mapping[int, File]


def portfolio_body(call: Call, portfolio: Portfolio) -> dict[str, Any]:
    """One portfolio, with everything that it has."""
    files = _files_of(call, [portfolio])
    body = _listed(call, portfolio, files, groups_of(call, portfolio)) | {
        name: getattr(portfolio, name) for name in _STATUSES
    }
    if call.version == "v1":
        body[CURRENCY_FIELD] = _currency(call, portfolio, files)
    return body | {"reporting_currency": portfolio.reporting_currency}


def portfolio_list(call: Call, portfolios: Iterable[Portfolio]) -> list[dict[str, Any]]:
    """Portfolios as the list has them."""
    found = list(portfolios)
    files = _files_of(call, found)
    groups = group_names(call.session, Portfolio, [portfolio.id for portfolio in found])
    return [_listed(call, portfolio, files, groups.get(portfolio.id, [])) for portfolio in found]


def stored_names(call: Call, portfolio: Portfolio) -> dict[str, str | None]:
    """The stored name of every file."""
    files = _files_of(call, [portfolio])
    found = {field: _file(portfolio, field, files) for field in FILE_FIELDS}
    return {field: stored_name(file) if file else None for field, file in found.items()}


def _listed(call: Call, portfolio: Portfolio, files: Files, groups: list[str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": portfolio.id,
        "name": portfolio.name,
        "created": moment(portfolio.created),
        "modified": moment(portfolio.modified),
    }
    if call.version != "v1":
        body["groups"] = groups
    body |= {field: _exposure(call, portfolio, field, files) for field in EXPOSURE_FIELDS}
    body["storage_links"] = call.url(f"portfolios/{portfolio.id}/storage_links/")
    if call.version != "v1":
        body[CURRENCY_FIELD] = _currency(call, portfolio, files)
    return body


def _exposure(call: Call, portfolio: Portfolio, field: str, files: Files) -> dict[str, Any] | None:
    body = _link(call, portfolio, field, files)
    if body is None or call.version == "v1":
        return body
    # `fie` is how clients know it.
    converted = {
        "converted_uri": None,
        "converted_stored": None,
        "conversion_state": "NONE",
        "conversion_log_fie": None,
    }
    return body | converted


def _currency(call: Call, portfolio: Portfolio, files: Files) -> dict[str, Any] | None:
    return _link(call, portfolio, CURRENCY_FIELD, files)


def _link(call: Call, portfolio: Portfolio, field: str, files: Files) -> dict[str, Any] | None:
    file = _file(portfolio, field, files)
    if file is None:
        return None
    uri = call.url(f"portfolios/{portfolio.id}/{field}/")
    return {"uri": uri, "name": file.filename, "stored": stored_name(file)}


def _file(portfolio: Portfolio, field: str, files: Files) -> File | None:
    return files.get(getattr(portfolio, f"{field}_id") or 0)


def _files_of(call: Call, portfolios: list[Portfolio]) -> Files:
    ids = {getattr(portfolio, f"{field}_id") for portfolio in portfolios for field in FILE_FIELDS}
    return find_files(call, ids - {None})
