"""analysis-status/: workers of somebody else tell of progress. Source: oasis_api.md section 6.4."""

from flask import Response

from services.api.auth.authenticate import authenticate
from services.api.call import Call
from services.api.errors import BadRequest, Forbidden
from services.api.http import body_of, json_answer
from services.api.reported_progress import BadReport, note_report, read_report


def post_status(call: Call) -> Response:
    """Count a report; one about an analysis that does not run is taken and not counted."""
    if not call.dependencies.settings.analysis_status_open:
        account = authenticate(call.request, call.door)
        if not account.is_administrator:
            raise Forbidden
    try:
        report = read_report(body_of(call.request))
    except BadReport as error:
        raise BadRequest({"detail": str(error)}) from error
    return json_answer({"counted": note_report(call.session, report)})
