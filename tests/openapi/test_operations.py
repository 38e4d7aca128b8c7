"""Requests that schemathesis makes up, good and bad, to every operation of the committed document."""

import json
import os
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.openapi.conftest import Applications, Filled

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text("utf-8"))
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES")
"""For each operation. The gate makes the same few every time. Whoever asks for more gets other ones each time, and
besides those at the bounds of every schema."""

OPERATIONS = settings(
    max_examples=int(EXAMPLES or 5),
    derandomize=EXAMPLES is None,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance]

schema = schemathesis.openapi.from_dict(
    DOCUMENT, config=SchemathesisConfig.from_dict({"phases": {"coverage": {"enabled": EXAMPLES is not None}}})
)


@schema.hook
def map_path_parameters(_context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Two of three ids are those of something that there is."""
    return {name: _likely(value) for name, value in path_parameters.items()} if path_parameters else path_parameters


def _likely(value: Any) -> Any:
    return 1 + value % 2 if isinstance(value, int) and value % 3 else value


@schema.parametrize()
@OPERATIONS
def test_every_operation_answers_as_its_document_says(
    case: schemathesis.Case, apps: Applications, filled: Filled
) -> None:
    app = apps.of(case.method, case.operation.label)

    answer = case.call(app=app, headers=filled.headers)

    # Files are bytes to the document, whatever is in them.
    file = "content-disposition" in answer.headers
    case.validate_response(answer, checks=CHECKS if file else [*CHECKS, response_schema_conformance])
