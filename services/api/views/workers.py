"""workers/: who serves the queues now. Not in the reference; worker controllers decide from it."""

from typing import Any

from flask import Response
from sqlalchemy import func, select

from services.api.call import Call
from services.api.http import json_answer
from services.api.queue_status.reading import SILENCE
from services.api.serialize.moments import moment
from shared.database.execution import Worker


def list_workers(call: Call) -> Response:
    """The workers whose heartbeat has come within the last seconds, by the time that they were first heard of."""
    alive = (Worker.died_at.is_(None), Worker.last_seen >= func.now() - SILENCE)
    query = select(Worker).where(*alive).order_by(Worker.first_seen, Worker.worker_id)
    return json_answer([_entry(each) for each in call.session.scalars(query)])


def _entry(worker: Worker) -> dict[str, Any]:
    return {
        "worker_id": worker.worker_id,
        "fleet_name": worker.fleet_name,
        "queue": worker.queue,
        "host": worker.host,
        "slots": worker.slots,
        "free_slots": worker.free_slots,
        "draining": worker.draining,
        "first_seen": moment(worker.first_seen),
        "last_seen": moment(worker.last_seen),
    }
