"""What the name of an uploaded file may be: a name, not a path, that reads as what it is."""

from pathlib import PurePath

LONGEST_NAME = 255

_SEPARATORS = frozenset("/\\\u2044\u2215\u2216\u2571\u2572\u27cb\u27cd\u29f5\u29f6\u29f8\u29f9\ufe68\uff0f\uff3c")
"""What separates folders somewhere, and what looks like it."""

_DOTS = frozenset("\u2024\u2025\u2026\u3002\ufe52\uff0e\uff61")
"""What looks like one or more dots."""


def name_problem(name: str) -> str | None:
    """Why a file cannot be called so; None where it can."""
    if not name:
        return "No filename could be determined."
    if len(name) > LONGEST_NAME:
        return f"Ensure this filename has at most {LONGEST_NAME} characters (it has {len(name)})."
    if any("\ud800" <= each <= "\udfff" for each in name) or not name.isprintable():
        return "The filename holds characters that are not allowed."
    if _SEPARATORS.intersection(name) or name.strip(" .") == "":
        return "The filename must be a name, not a path."
    if _DOTS.intersection(name) or not PurePath(name).suffix.isascii():
        return "The filename holds characters that look like others."
    return None
