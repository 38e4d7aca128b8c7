"""Every operation of the port, to be tried on a store that cannot do it."""

import io
from collections.abc import Callable

import pytest

from shared.object_store import ObjectStore
from tests.object_store.streams import MIB, PatternStream

Operation = Callable[[ObjectStore], object]

_OPERATIONS: dict[str, Operation] = {
    "put": lambda store: store.put("key", io.BytesIO(b"other")),
    "put-parts": lambda store: store.put("key", PatternStream(9 * MIB)),
    "open": lambda store: store.open("key"),
    "open-range": lambda store: store.open("key", 2, 4),
    "stat": lambda store: store.stat("key"),
    "exists": lambda store: store.exists("key"),
    "copy": lambda store: store.copy("key", "target"),
    "delete": lambda store: store.delete("key"),
    "delete-prefix": lambda store: store.delete_prefix("key/"),
    "list": lambda store: list(store.list("")),
    "check": lambda store: store.check(),
}

OPERATIONS = [pytest.param(operation, id=name) for name, operation in _OPERATIONS.items()]
