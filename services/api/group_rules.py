"""Which groups a resource is put into. Source: oasis_api.md section 1.1, "Roles and groups"."""

from collections.abc import Collection, Sequence

Errors = dict[str, list[str]]


class WrongGroups(Exception):
    """The groups of the request cannot be taken; `errors` is what it is answered with."""

    def __init__(self, errors: Errors) -> None:
        self.errors = errors
        super().__init__(str(errors))


def unknown(wanted: Sequence[str], known: Collection[str], *, by_administrator: bool) -> tuple[str, ...]:
    """The groups that are to be made. Raises WrongGroups for everybody but administrators."""
    missing = tuple(name for name in dict.fromkeys(wanted) if name not in known)
    if missing and not by_administrator:
        raise WrongGroups({"groups": [f"Object with name={name} does not exist." for name in missing]})
    return missing


def chosen(wanted: Sequence[str] | None, own: Sequence[str], *, by_administrator: bool) -> tuple[str, ...]:
    """The names that a new or replaced resource gets; without a wish those of its creator. Raises WrongGroups."""
    if wanted is None:
        return tuple(own)
    if by_administrator:
        return tuple(dict.fromkeys(wanted))
    if own and not wanted:
        raise WrongGroups({"groups": ["user is required to specify groups"]})
    allowed = tuple(name for name in dict.fromkeys(wanted) if name in own)
    if wanted and not allowed:
        raise WrongGroups({"groups": [f"user is not member of group(s): {list(wanted)}"]})
    return allowed
