"""python -m benchmarks.page: docs/benchmarks.md and its charts, from page_template.md and results/*.json.

`--check` writes nothing and fails when something is outdated. A benchmark writes its results with
`--out benchmarks/results/NAME.json`.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.page_sections import SECTIONS

FOLDER = Path(__file__).parent
DOCS = FOLDER.parent / "docs"
_PLACE = re.compile(r"^<!-- results of (\w+) -->$", re.MULTILINE)


def written(folder: Path = FOLDER) -> Mapping[str, str]:
    """What the documentation should have: text by path below docs/. Raises KeyError for a place that nothing fills."""
    figures: dict[str, str] = {}

    def fill(place: re.Match[str]) -> str:
        name = place.group(1)
        path = folder / "results" / f"{name}.json"
        if not path.exists():
            return f"Not measured yet: `python -m benchmarks.{name} --out benchmarks/results/{name}.json`."
        section = SECTIONS[name](json.loads(path.read_text(encoding="utf-8")))
        links = []
        for key, chart in section.charts.items():
            figure = f"figures/{name}-{key}.svg"
            figures[figure] = chart.svg()
            links.append(f"![{chart.title}]({figure})")
        return "\n\n".join([*section.tables, *links])

    page = _PLACE.sub(fill, (folder / "page_template.md").read_text(encoding="utf-8"))
    return {"benchmarks.md": page, **figures}


def outdated(docs: Path = DOCS) -> list[Path]:
    """The page and the charts that are not what the results say, and charts that nothing shows."""
    texts = written()
    wrong = [docs / name for name, text in texts.items() if _read(docs / name) != text]
    return wrong + [path for path in sorted((docs / "figures").glob("*.svg")) if f"figures/{path.name}" not in texts]


def main(argv: list[str] | None = None) -> int:
    """Exit status 1 when `--check` finds something outdated."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something is outdated")
    check = parser.parse_args(argv).check
    paths, texts = outdated(), written()
    for path in paths:
        if check:
            print(f"{path} is outdated: run python -m benchmarks.page", file=sys.stderr)
        else:
            _write(path, texts.get(path.relative_to(DOCS).as_posix()))
    return 1 if check and paths else 0


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
        return
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path}")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
