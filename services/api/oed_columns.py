"""Which columns of exposure are text, whatever they look like: postcodes, numbers of locations and accounts."""

from functools import cache

from services.api.perils import specification


@cache
def text_columns(version: str | None) -> frozenset[str]:
    """The names, in lower case, that this version of OED has as text."""
    files = specification(version)["input_fields"].values()
    return frozenset(name for fields in files for name, field in fields.items() if "char" in field["Data Type"])
