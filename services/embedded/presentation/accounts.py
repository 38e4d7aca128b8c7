"""How accounts are shown."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from services.embedded.accounts import Person


def accounts_table(people: Sequence[Person]) -> Table:
    """One row an account."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("account", "kind", "groups"):
        table.add_column(heading)
    for person in people:
        table.add_row(Text(person.username), _kind(person), Text(", ".join(person.groups)))
    return table


def accounts_json(people: Sequence[Person]) -> str:
    """A list of objects."""
    plain = [{**asdict(person), **asdict(person.kind)} for person in people]
    return json.dumps([{name: value for name, value in each.items() if name != "kind"} for each in plain], indent=2)


def _kind(person: Person) -> str:
    role = "admin" if person.kind.is_superuser else "staff" if person.kind.is_staff else "user"
    words = [role, *(["service"] if person.kind.is_service else []), *([] if person.is_active else ["closed"])]
    return ", ".join(words)
