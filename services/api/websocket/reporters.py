"""Workers of somebody else, which tell of progress over a websocket and expect no answer."""

import asyncio
import logging

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from services.api.reported_progress import BadReport, Report, note_report, read_report
from services.api.websocket.clients import NOT_JSON
from services.api.websocket.questions import NotJson, parse

log = logging.getLogger(__name__)


async def take_reports(connection: ServerConnection, engine: Engine) -> None:
    """Until the connection ends, which is usually after one report."""
    try:
        while True:
            text = await connection.recv()
            await _take(text, engine)
    except NotJson:
        await connection.close(NOT_JSON, "this is not JSON")
    except ConnectionClosed:
        pass


async def _take(text: str | bytes, engine: Engine) -> None:
    """Count a report. One that means nothing, or that nobody can keep now, is no reason to hang up."""
    try:
        report = read_report(parse(text))
        known = await asyncio.to_thread(_note, engine, report)
    except (BadReport, SQLAlchemyError) as error:
        log.warning("A report of progress is lost", extra={"reason": str(error)})
        return
    if not known:
        log.info("A report is about an analysis that does not run", extra={"analysis": report.analysis_id})


def _note(engine: Engine, report: Report) -> bool:
    with Session(engine) as session, session.begin():
        return note_report(session, report)
