"""A collection and its objects: the same seven operations each time."""

from collections.abc import Mapping
from dataclasses import replace

from services.api.openapi.operations import PAGES, Body, Operation, Parameter, Shape

Operations = Mapping[str, Operation]


def crud(
    path: str, answer: Shape, body: Body, filters: tuple[Parameter, ...], *, entry: Shape | None = None
) -> dict[str, Operations]:
    """The collection at this path. `entry` is how its list shows an object, where that is not how one alone is."""
    shown = entry or answer
    changes = replace(body, shape=replace(body.shape, partial=True), required=False)
    return {
        path: {
            "GET": Operation(replace(shown, many=True), parameters=(*filters, *PAGES), refusals=(400,)),
            "POST": Operation(answer, body, status=(201,)),
        },
        f"{path}<pk>/": {
            "GET": Operation(answer),
            "PUT": Operation(answer, body),
            "PATCH": Operation(answer, changes),
            "DELETE": Operation(status=(204,)),
        },
    }
