"""Writes the pages that follow from the code: `python -m docs.generate`; with `--check` it only compares."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.lifecycle_page import lifecycle_page
from docs.messages_page import messages_page
from docs.openapi_page import openapi_page

FOLDER = Path(__file__).parent

PAGES: Mapping[str, Callable[[], str]] = {
    "lifecycle.md": lifecycle_page,
    "messages.md": messages_page,
    "openapi.json": openapi_page,
}
"""By file name in this folder."""


def outdated(folder: Path = FOLDER) -> list[Path]:
    """The pages that are not what the code says, or not there."""
    return [folder / name for name, page in PAGES.items() if _read(folder / name) != page()]


def write(folder: Path = FOLDER) -> list[Path]:
    """Write the pages that are outdated; returns them."""
    pages = outdated(folder)
    for path in pages:
        path.write_text(PAGES[path.name](), encoding="utf-8")
    return pages


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 when `--check` finds an outdated page."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is outdated")
    if not parser.parse_args(arguments).check:
        for path in write():
            print(f"wrote {path}")  # noqa: T201 - a command says what it did
        return 0
    pages = outdated()
    for path in pages:
        print(f"{path} is outdated: run python -m docs.generate", file=sys.stderr)  # noqa: T201
    return 1 if pages else 0


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
