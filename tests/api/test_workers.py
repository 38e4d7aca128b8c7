"""workers/: who serves, for worker controllers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.database.execution import Worker
from tests.api.api_client import Api


def _add(session: Session, worker_id: str, silent_for: float = 0.0, **more: Any) -> None:
    now = session.execute(select(func.now())).scalar_one()
    worker = Worker(worker_id=worker_id, queue="q-v2", host="alpha", slots=4, free_slots=1, draining=False)
    worker.last_seen = now - timedelta(seconds=silent_for)
    for name, value in more.items():
        setattr(worker, name, value)
    session.add(worker)
    session.commit()


def test_the_workers_that_beat_are_listed_with_what_a_fleet_needs(api: Api, session: Session) -> None:
    _add(session, "ours", fleet_name="fleet-1", draining=True)
    _add(session, "nobodys")
    _add(session, "silent", silent_for=11)
    _add(session, "dead", died_at=func.now())

    rows = api.get("workers/").json

    assert rows is not None
    assert {row["worker_id"]: row["fleet_name"] for row in rows} == {"ours": "fleet-1", "nobodys": None}
    (row,) = (row for row in rows if row["worker_id"] == "ours")
    moments = {"first_seen", "last_seen"}
    assert {name: value for name, value in row.items() if name not in moments} == {
        "worker_id": "ours",
        "fleet_name": "fleet-1",
        "queue": "q-v2",
        "host": "alpha",
        "slots": 4,
        "free_slots": 1,
        "draining": True,
    }
    assert moments <= row.keys()


def test_workers_are_for_administrators(api: Api, user_api: Api) -> None:
    assert user_api.get("workers/").status_code == 403
    assert api.get("/v1/workers/").status_code == 404
