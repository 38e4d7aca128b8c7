"""Which acknowledgements to send for a set of deliveries. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Step(NamedTuple):
    """One basic.ack or basic.nack; `multiple` covers every outstanding tag up to `tag`."""

    tag: int
    multiple: bool


def settle(outstanding: dict[int, None], tags: Collection[int]) -> list[Step]:
    """The fewest steps that settle `tags`, which are removed from `outstanding`.

    `outstanding` holds every delivered and unsettled tag of the channel, in order of delivery. A step with `multiple`
    is allowed only when nothing but `tags` lies below it: the broker settles everything up to that tag.
    Tags that are not outstanding are ignored; the broker would close the channel for them.
    """
    wanted = set(tags) & outstanding.keys()
    leading: list[int] = []
    for tag in outstanding:
        if tag not in wanted:
            break
        leading.append(tag)
    steps = [Step(leading[-1], multiple=len(leading) > 1)] if leading else []
    steps += [Step(tag, multiple=False) for tag in sorted(wanted.difference(leading))]
    for tag in wanted:
        del outstanding[tag]
    return steps
