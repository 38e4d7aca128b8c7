"""Downloads that the object store answers itself, at an address that is good for a while."""

from flask import Response

from services.api.call import Call
from services.api.errors import BadRequest
from services.api.http import empty_answer
from services.api.presigned_settings import Presigned
from shared.database.resources import File
from shared.object_store import Presigner

PARAMETER = "presigned"
UNAVAILABLE = (
    "This server sends files itself. Redirects to the object store need OASIS_STORAGE_TYPE=s3 and "
    "OASIS_SERVER_PRESIGNED_DOWNLOADS=asked or always."
)
_WORDS = {"true": True, "1": True, "false": False, "0": False}


def store_redirect(call: Call, file: File, disposition: str) -> Response | None:
    """302 to the object, where the setting and the request want it; HEAD is answered here, as it is not signed for.

    Raises BadRequest.
    """
    presigner = _presigner(call)
    if presigner is None or call.request.method == "HEAD":
        return None
    good_for = call.dependencies.settings.presigned.good_for
    answer = empty_answer(302)
    answer.headers["Location"] = presigner.download_url(file.key, file.content_type, disposition, good_for)
    # The next request needs another signature, and perhaps other rights.
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _presigner(call: Call) -> Presigner | None:
    setting, asked = call.dependencies.settings.presigned.downloads, _asked(call)
    if setting is Presigned.NEVER or call.store.presigner is None:
        if asked:
            raise BadRequest({PARAMETER: [UNAVAILABLE]})
        return None
    wanted = setting is Presigned.ALWAYS if asked is None else asked
    return call.store.presigner if wanted else None


def _asked(call: Call) -> bool | None:
    text = call.request.args.get(PARAMETER)
    if text is None:
        return None
    if text.lower() not in _WORDS:
        raise BadRequest({PARAMETER: ["Must be a valid boolean."]})
    return _WORDS[text.lower()]
