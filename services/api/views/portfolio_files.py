"""The files of a portfolio. Source: oasis_api.md sections 1.3 and 1.6."""

import csv
import io
from collections.abc import Callable
from typing import Any

from flask import Response

from services.api.call import Call
from services.api.content_types import CSV_TYPES, EXPOSURE_TYPES, JSON_TYPES, type_of
from services.api.conversion import converted_answer
from services.api.downloads import file_answer
from services.api.errors import BadRequest, NotFound
from services.api.files import find_file, release_files, store_json
from services.api.groups import groups_of
from services.api.http import empty_answer, json_answer
from services.api.lookups import find
from services.api.parquet_storage import as_kept
from services.api.serialize.portfolios import CURRENCY_FIELD
from services.api.uploads import Upload, expect_file, take_in, uploaded, uploaded_file
from shared.database.resources import File, Portfolio

Handler = Callable[[Call, int], Response]

LARGEST_CURRENCY_FILE = 16 * 1024 * 1024
"""Bytes of a csv file of rates."""


def exposure_file(field: str) -> dict[str, Handler]:
    """The handlers of one exposure file, by method."""

    def get(call: Call, pk: int) -> Response:
        portfolio = find(call, Portfolio, pk)
        if "converted" in call.request.args:
            raise NotFound
        return converted_answer(call, _file_of(call, portfolio, field), call.request.args.get("file_format"))

    def post(call: Call, pk: int) -> Response:
        find(call, Portfolio, pk)
        upload = uploaded_file(call, EXPOSURE_TYPES)
        return _take(call, pk, field, lambda: _keep(call, upload, field))

    def delete(call: Call, pk: int) -> Response:
        return _delete(call, pk, field)

    return {"GET": get, "POST": post, "DELETE": delete}


def get_currency_conversion(call: Call, pk: int) -> Response:
    """The rates of exchange."""
    return file_answer(call, _file_of(call, find(call, Portfolio, pk), CURRENCY_FIELD))


def post_currency_conversion(call: Call, pk: int) -> Response:
    """Take rates of exchange as JSON, or as csv with the columns from, to and rate."""
    find(call, Portfolio, pk)
    expect_file(call)
    part = call.request.files.get("file")
    as_csv = part is not None and type_of(part.mimetype, part.filename or "") in CSV_TYPES
    upload = uploaded_file(call, CSV_TYPES if as_csv else JSON_TYPES)
    return _take(call, pk, CURRENCY_FIELD, lambda: _store_rates(call, upload, as_csv))


def delete_currency_conversion(call: Call, pk: int) -> Response:
    """Take the rates away."""
    return _delete(call, pk, CURRENCY_FIELD)


def get_errors(call: Call, pk: int) -> Response:
    """What the last validation, exposure run or transformation had to say."""
    return file_answer(call, _file_of(call, find(call, Portfolio, pk), "run_errors_file"))


def _keep(call: Call, upload: Upload, field: str) -> File:
    with as_kept(call, upload, field) as kept:
        return take_in(call, kept, counted=field == "location_file")


def _store_rates(call: Call, upload: Upload, as_csv: bool) -> File:
    if not as_csv:
        return take_in(call, upload)
    rates = {
        "currency_conversion_type": "DictBasedCurrencyRates",
        "source_type": "list",
        "currency_rates": _rates(upload),
    }
    return store_json(call, rates, "currency_conversion.json")


def _rates(upload: Upload) -> list[list[Any]]:
    text = upload.stream.read(LARGEST_CURRENCY_FILE + 1)
    if len(text) > LARGEST_CURRENCY_FILE:
        raise BadRequest({"file": [f"The csv file must not be larger than {LARGEST_CURRENCY_FILE} bytes."]})
    try:
        rows = [row for row in csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")) if any(row)]
        return [[source.strip(), target.strip(), float(rate)] for source, target, rate in rows[1:]]
    except (ValueError, csv.Error) as error:
        reason = f"The csv file must have the columns from, to and rate of exchange: {error}"
        raise BadRequest({"file": [reason]}) from error


def attach(call: Call, portfolio: Portfolio, field: str, file: File) -> None:
    """Let a (locked) portfolio have this file in the place of the one that it had."""
    release_files(call, getattr(portfolio, f"{field}_id"))
    setattr(portfolio, f"{field}_id", file.id)
    call.session.flush()


def _take(call: Call, pk: int, field: str, store: Callable[[], File]) -> Response:
    call.release_connection()
    file = store()
    portfolio = find(call, Portfolio, pk)
    attach(call, portfolio, field, file)
    return json_answer(uploaded(file, groups_of(call, portfolio), exposure=field != CURRENCY_FIELD))


def _file_of(call: Call, portfolio: Portfolio, field: str) -> File:
    file = find_file(call, getattr(portfolio, f"{field}_id"))
    if file is None:
        raise NotFound
    return file


def _delete(call: Call, pk: int, field: str) -> Response:
    portfolio = find(call, Portfolio, pk)
    release_files(call, _file_of(call, portfolio, field).id)
    setattr(portfolio, f"{field}_id", None)
    return empty_answer(200)
