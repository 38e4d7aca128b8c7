"""The OpenAPI document of the API, as the server serves it at `/openapi.json`."""

import json

from services.api.openapi.document import openapi_document


def openapi_page() -> str:
    """The whole document."""
    return json.dumps(openapi_document(), indent=1, ensure_ascii=False) + "\n"
