"""What every list does: what the account sees, filtered and paged as the request wants, by id."""

from typing import Any

from sqlalchemy import Select

from services.api.call import Call
from services.api.filters import Filters, filtered, paged


def listed(call: Call, query: Select[Any], filters: Filters) -> list[Any]:
    """The rows of a list. Raises BadRequest."""
    values = call.request.args
    return list(call.session.scalars(paged(filtered(query, filters, values), values)))
