"""The peril codes of OED, as oed_peril_codes/ answers them. Source: oasis_api.md section 1.1."""

import re
from functools import cache
from typing import Any

from shared.oed_schemas import PackageDataMissing, data_folder, read_json

_SPECIFICATION = re.compile(r"OpenExposureData_(\d+)\.(\d+)\.(\d+)Spec\.json")


@cache
def peril_codes(version: str | None) -> dict[str, Any]:
    """Codes and groups of codes of an OED version; only these are kept of the specification."""
    perils = specification(version)["perils"]
    codes: dict[str, Any] = {}
    groups: dict[str, Any] = {}
    for code, info in perils["info"].items():
        if info["Grouped PerilCode"] == "Yes":
            groups[code] = {"desc": info["Peril Description"], "peril_ids": perils["covered"].get(code, [])}
        else:
            codes[code] = {"desc": info["Peril Description"]}
    return {"peril_codes": codes, "peril_groups": groups}


def specification(version: str | None) -> dict[str, Any]:
    """The whole specification; nobody should keep all of it."""
    found: dict[str, Any] = read_json(_name(_specification(version)))
    return found


def oed_version(version: str | None) -> str:
    """The wanted version of OED, if it is installed, or the newest."""
    return ".".join(map(str, _specification(version)))


def _specification(version: str | None) -> tuple[int, ...]:
    matches = (_SPECIFICATION.fullmatch(path.name) for path in data_folder().iterdir())
    found = {tuple(map(int, match.groups())) for match in matches if match}
    if not found:
        raise PackageDataMissing(str(PackageDataMissing.__doc__))
    wanted = (version or "").removeprefix("v").split(".")
    return next((each for each in found if [str(part) for part in each] == wanted), max(found))


def _name(version: tuple[int, ...]) -> str:
    return f"OpenExposureData_{'.'.join(map(str, version))}Spec.json"
