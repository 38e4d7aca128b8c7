"""The output log of a sub-task as an answer: whole, a range of it, or followed while it grows."""

import math

from flask import Response

from services.api.call import Call
from services.api.downloads import Blocks, blocks_of, stream_answer
from services.api.errors import BadRequest, NotFound, OutOfRange
from services.api.following import Follower, Seat, looker
from services.api.logs import Part, compose, newest_log
from shared.database.execution import SubTask
from shared.object_store import ObjectStoreError

_TYPE = "text/plain"


def output_log_answer(call: Call, sub_task: SubTask) -> Response:
    """As the request wants it. Raises NotFound, BadRequest, Unavailable, OutOfRange."""
    name = f"{sub_task.task_id}-output.log"
    wanted = call.request.args.get("follow")
    # A HEAD has no body that would ever end, and so nobody who would leave the seat.
    if wanted is not None and call.request.method == "GET":
        return _followed(call, sub_task.id, _seconds(wanted, call.dependencies.settings.follow_for), name)
    key = newest_log(call.session, call.store, sub_task)
    if key is None:
        raise NotFound
    answer = _range(call, key, name) or stream_answer(compose(call.store, [Part(log_key=key)]), name, _TYPE)
    answer.headers["Accept-Ranges"] = "bytes"
    return answer


def _followed(call: Call, sub_task_id: int, within: float, name: str) -> Response:
    offset = _offset(call.request.args.get("offset", "0"))
    follower = Follower(call.store, looker(call.dependencies.engine, sub_task_id), offset)
    seat = Seat.take(call.dependencies.followers)
    answer = stream_answer(Blocks(follower.blocks(within), seat.leave), name, _TYPE)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _range(call: Call, key: str, name: str) -> Response | None:
    """The range that is asked for; None where none is, or the log cannot be read: then it is empty, not an error."""
    wanted = call.request.range
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    try:
        size = call.store.stat(key).size
        within = wanted.range_for_length(size)
        if within is None:
            raise OutOfRange(size)
        start, end = within
        answer = stream_answer(blocks_of(call.store.open(key, start, end)), name, _TYPE)
    except ObjectStoreError:
        return None
    answer.status_code = 206
    answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    answer.headers["Content-Length"] = str(end - start)
    return answer


def _seconds(text: str, most: float) -> float:
    """How long to follow: a number of seconds, or anything that says yes, which is as long as may be."""
    if text.lower() in ("", "true", "yes", "on"):
        return most
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise BadRequest({"follow": ["Say for how many seconds, or true."]})
    return min(seconds, most)


def _offset(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadRequest({"offset": ["Say how many bytes you have already."]})
    return int(text)
