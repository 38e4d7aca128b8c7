"""audit/: who changed what. Not in the reference."""

from typing import Any

from flask import Response
from sqlalchemy import select

from services.api.call import Call
from services.api.filters import filtered, id_filters, moment_filters, paged, text_filters
from services.api.http import json_answer
from services.api.serialize.moments import moment
from shared.database.accounts import AuditEntry

FILTERS = (
    text_filters(user=AuditEntry.username, action=AuditEntry.action, resource=AuditEntry.resource)
    | text_filters(address=AuditEntry.address)
    | id_filters("resource_id", AuditEntry.resource_id)
    | moment_filters("at", AuditEntry.at)
)
LISTED = 100
"""Entries that are listed where the request sets no limit."""


def list_audit(call: Call) -> Response:
    """The entries, newest first."""
    values = call.request.args
    query = filtered(select(AuditEntry).order_by(AuditEntry.id.desc()), FILTERS, values)
    return json_answer([_entry(each) for each in call.session.scalars(paged(query, values, LISTED))])


def _entry(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": moment(entry.at),
        "user": entry.username,
        "user_id": entry.user_id,
        "address": entry.address,
        "action": entry.action,
        "resource": entry.resource,
        "resource_id": entry.resource_id,
        "path": entry.path,
        "status": entry.status,
    }
