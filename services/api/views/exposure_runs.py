"""Validating, running and transforming the exposure of a portfolio. Source: oasis_api.md section 1.3."""

from typing import Any

from flask import Response

from services.api.call import Call
from services.api.downloads import file_answer
from services.api.errors import NotFound
from services.api.files import find_file, find_files, store_file, store_json
from services.api.http import body_of, json_answer
from services.api.lookups import find
from services.api.portfolio_inputs import for_this_run, portfolio_inputs, references
from services.api.schemas.fields import load
from services.api.schemas.server_work import FILE_TYPES, ExposureRunBody, ExposureTransformBody
from services.api.serialize.portfolios import EXPOSURE_FIELDS
from services.api.tracing import trace_parent
from services.api.uploads import Upload, uploaded_source
from shared.core.inputs import RunInputs
from shared.core.states import EXPOSURE, ExposureEvent, ExposureStatus, RunKind, move
from shared.database.portfolio_runs import request_portfolio_run
from shared.database.resources import File, Portfolio

IN_QUEUE = {"message": "in queue"}
LACKING = "Exposure run requires a location file and an accounts file!"


def get_validation(call: Call, pk: int) -> Response:
    """Which files have been found valid."""
    return json_answer(_validated(call, find(call, Portfolio, pk)))


def post_validation(call: Call, pk: int) -> Response:
    """Have the files checked against the exposure standard."""
    portfolio = find(call, Portfolio, pk)
    _request(call, portfolio, RunKind.VALIDATE, portfolio_inputs(call, portfolio))
    return json_answer(_validated(call, portfolio))


def get_exposure_run(call: Call, pk: int) -> Response:
    """What the last exposure run computed."""
    file = find_file(call, find(call, Portfolio, pk).exposure_run_file_id)
    if file is None:
        raise NotFound
    return file_answer(call, file)


def post_exposure_run(call: Call, pk: int) -> Response:
    """Have the losses of the exposure computed for given loss factors."""
    portfolio = find(call, Portfolio, pk)
    values = load(ExposureRunBody, body_of(call.request))
    if portfolio.location_file_id is None or portfolio.accounts_file_id is None:
        status = move(EXPOSURE, ExposureStatus(portfolio.exposure_status), ExposureEvent.LACKING)
        portfolio.exposure_status = status
        return json_answer([LACKING], 400)  # an answer, not an error: the status stays
    params = store_json(call, values.get("params") or {}, "exposure_params.json")
    for_this_run(call, params)
    _request(call, portfolio, RunKind.EXPOSURE_RUN, portfolio_inputs(call, portfolio, exposure_params=params))
    return json_answer(IN_QUEUE)


def post_exposure_transform(call: Call, pk: int) -> Response:
    """Have an exposure file made of data in another format."""
    find(call, Portfolio, pk)
    mapping, source = uploaded_source(call, "mapping_file"), uploaded_source(call, "transform_file")
    values = load(ExposureTransformBody, call.request.form.to_dict())
    call.release_connection()
    files = {
        "mapping_file": _store(call, mapping),
        "transform_file": _store(call, source),
        "transform_params": store_json(call, {"field": FILE_TYPES[values["file_type"]]}, "transform_params.json"),
    }
    for_this_run(call, *files.values())
    portfolio = find(call, Portfolio, pk)
    _request(call, portfolio, RunKind.EXPOSURE_TRANSFORM, RunInputs(references(files)))
    return json_answer(IN_QUEUE)


def _store(call: Call, upload: Upload) -> File:
    return store_file(call, upload.stream, upload.filename, upload.content_type)


def _request(call: Call, portfolio: Portfolio, kind: RunKind, inputs: RunInputs) -> None:
    call.session.flush()
    request_portfolio_run(call.session, portfolio.id, kind, inputs, call.user.id, trace_parent())


def _validated(call: Call, portfolio: Portfolio) -> dict[str, Any]:
    ids = {field: getattr(portfolio, f"{field}_id") for field in EXPOSURE_FIELDS}
    files = find_files(call, set(ids.values()) - {None})
    return {
        f"{field.removesuffix('_file')}_validated": files[file_id].oed_validated if file_id in files else None
        for field, file_id in ids.items()
    }
