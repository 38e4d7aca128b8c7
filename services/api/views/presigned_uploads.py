"""portfolios/{id}/{file}/presigned/: exposure that is put straight into the object store. Goes beyond the reference."""

from collections.abc import Callable

from flask import Response

from services.api.call import Call
from services.api.content_types import EXPOSURE_TYPES
from services.api.errors import BadRequest
from services.api.filenames import name_problem
from services.api.groups import groups_of
from services.api.http import body_of, json_answer
from services.api.lookups import find
from services.api.presigned_uploads import awaited, begin, end, largest, presigner, take_over
from services.api.schemas.fields import load
from services.api.schemas.requests import PresignedUploadBody
from services.api.serialize.moments import moment
from services.api.uploads import check_type, uploaded
from services.api.views.portfolio_files import attach
from shared.database.resources import Portfolio

Begin = Callable[[Call, int], Response]
Complete = Callable[[Call, int, int], Response]


def begin_upload(field: str) -> Begin:
    """The handler that gives a form for one exposure file."""

    def post(call: Call, pk: int) -> Response:
        portfolio = find(call, Portfolio, pk)
        presigner(call)
        values = load(PresignedUploadBody, body_of(call.request))
        _check(values["filename"], values["content_type"])
        upload, form = begin(call, portfolio.id, field, values["filename"], values["content_type"])
        body = {
            "id": upload.id,
            "url": form.url,
            "form": dict(form.fields),
            "file_field": "file",
            "largest": largest(call),
            "expires": moment(upload.expires),
            "complete": call.url(f"portfolios/{pk}/{field}/presigned/{upload.id}/"),
        }
        return json_answer(body, 201)

    return post


def complete_upload(field: str) -> Complete:
    """The handler that makes of what was uploaded the file of the portfolio."""

    def post(call: Call, pk: int, upload: int) -> Response:
        find(call, Portfolio, pk)
        presigner(call)
        waiting = awaited(call, pk, field, upload)
        call.release_connection()
        file = take_over(call, waiting)
        portfolio = find(call, Portfolio, pk)
        # Again, and locked until the commit: somebody else may have completed it meanwhile.
        end(call, awaited(call, pk, field, upload))
        attach(call, portfolio, field, file)
        return json_answer(uploaded(file, groups_of(call, portfolio), exposure=True))

    return post


def _check(filename: str, content_type: str) -> None:
    problem = name_problem(filename)
    if problem is not None:
        raise BadRequest({"filename": [problem]})
    check_type(filename, content_type, EXPOSURE_TYPES)
