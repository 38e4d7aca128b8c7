"""Every path of the API by its methods. A route that is not here is an error when the document is built."""

from collections.abc import Mapping

from services.api.openapi.operations import Operation
from services.api.openapi.tables.analyses import ANALYSES
from services.api.openapi.tables.inputs import INPUTS
from services.api.openapi.tables.server import SERVER

OPERATIONS: Mapping[str, Mapping[str, Operation]] = {**SERVER, **INPUTS, **ANALYSES}
"""By the path and the method of `services.api.routes`."""
