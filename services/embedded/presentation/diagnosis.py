"""How a diagnosis is shown: lines for people, JSON for programs."""

import json
from datetime import datetime
from typing import Any

from rich.text import Text

from services.embedded.doctor.examination import Diagnosis
from services.embedded.doctor.facts import Finding, Severity
from services.embedded.presentation.formats import duration
from services.embedded.presentation.parked import visible

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
_WIDTH = 9


def diagnosis_lines(diagnosis: Diagnosis, said: str) -> list[Text]:
    """The platform, one line and one of advice for each finding, and a summary."""
    lines = [Text(f"Platform: {visible(said)}", style="dim")]
    for finding in diagnosis.findings:
        line = Text(f"{finding.severity:<{_WIDTH}}", style=_STYLES[finding.severity])
        lines += [line.append(sentence(finding, diagnosis.looked_at), style="default")]
        lines += [Text(" " * _WIDTH + visible(finding.advice), style="dim")]
    return [*lines, summary(diagnosis)]


def sentence(finding: Finding, now: datetime) -> str:
    """What is wrong, and for how long where that is known."""
    what = visible(finding.what)
    if finding.since is None:
        return what
    return f"{what.removesuffix('.')}, for {duration((now - finding.since).total_seconds())}."


def summary(diagnosis: Diagnosis) -> Text:
    """The last line."""
    if diagnosis.is_healthy:
        return Text("Nothing is wrong.", style="green")
    wrong = sum(finding.severity != Severity.NOTE for finding in diagnosis.findings)
    return Text("One thing is wrong." if wrong == 1 else f"{wrong} things are wrong.", style="red")


def diagnosis_json(diagnosis: Diagnosis, said: str) -> str:
    """`{"healthy", "platform", "looked_at", "findings": [{"severity", "what", "since", "advice"}]}`; times in UTC."""
    body: dict[str, Any] = {
        "healthy": diagnosis.is_healthy,
        "platform": said,
        "looked_at": diagnosis.looked_at.isoformat(),
        "findings": [_plain(finding) for finding in diagnosis.findings],
    }
    return json.dumps(body, indent=2)


def _plain(finding: Finding) -> dict[str, str | None]:
    since = finding.since.isoformat() if finding.since else None
    return {
        "severity": str(finding.severity),
        "what": finding.what,
        "since": since,
        "advice": finding.advice,
    }
