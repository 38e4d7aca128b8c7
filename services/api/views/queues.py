"""queue/ and queue-status/. Source: oasis_api.md sections 1.8 and 5."""

from flask import Response

from services.api.call import Call
from services.api.http import json_answer
from services.api.queue_status.message import content, message, queue_body
from services.api.queue_status.reading import read_queue_status


def list_queues(call: Call) -> Response:
    """Every queue: those in use, and those of the models that have nothing to do."""
    status = read_queue_status(call.dependencies.engine, with_idle=True)
    return json_answer([queue_body(queue) for queue in status.queues])


def get_status(call: Call) -> Response:
    """The message that the websocket would send now."""
    status = read_queue_status(call.dependencies.engine)
    return json_answer(message(status, content(status)))
