"""Bar charts as SVG, the same bytes for the same values: they are committed, and a test compares them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _LABELS, _NUMBERS = 760, 250, 90
_BAR, _BETWEEN, _TOP = 16, 12, 58
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
"""Told apart by the colour-blind too (Okabe and Ito, 2008)."""


@dataclass(frozen=True)
class Bars:
    """Horizontal bars in groups: one group for each label, one bar in it for each series that has a value there."""

    title: str
    unit: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    """Values of at least 0, as many as there are labels."""

    def svg(self) -> str:
        """The chart as a document."""
        height = _TOP + len(self.labels) * self._group + _BETWEEN
        style = "font-family='Helvetica, Arial, sans-serif' font-size='13'"
        size = f"width='{_WIDTH}' height='{height}' viewBox='0 0 {_WIDTH} {height}'"
        lines = [
            f"<svg xmlns='http://www.w3.org/2000/svg' {size} role='img' {style}>",
            f"<title>{escape(self.title)}</title>",
            f"<rect width='{_WIDTH}' height='{height}' fill='white'/>",
            _text(12, 22, f"{self.title} ({self.unit})", weight="bold"),
            *self._legend(),
            *self._groups(),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    @property
    def _group(self) -> int:
        return _BAR * len(self.series) + _BETWEEN

    def _legend(self) -> Iterator[str]:
        at = 12
        for name, colour in zip(self.series, _COLOURS, strict=False):
            yield f"<rect x='{at}' y='33' width='12' height='12' fill='{colour}'/>"
            yield _text(at + 17, 44, name)
            at += 35 + 7 * len(name)

    def _groups(self) -> Iterator[str]:
        longest = max((each for values in self.series.values() for each in values if each is not None), default=0) or 1
        for row, label in enumerate(self.labels):
            top = _TOP + _BETWEEN // 2 + row * self._group
            yield _text(_LABELS - 8, top + (self._group - _BETWEEN) // 2 + 5, label, anchor="end")
            for place, (values, colour) in enumerate(zip(self.series.values(), _COLOURS, strict=False)):
                if (value := values[row]) is not None:
                    yield from _bar(top + place * _BAR, value, value / longest, colour)


def _bar(top: int, value: float, share: float, colour: str) -> Iterator[str]:
    width = max(1, round(share * (_WIDTH - _LABELS - _NUMBERS)))
    yield f"<rect x='{_LABELS}' y='{top}' width='{width}' height='{_BAR - 2}' fill='{colour}'/>"
    yield _text(_LABELS + width + 5, top + _BAR - 5, number(value))


def _text(x: int, y: int, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f"<text x='{x}' y='{y}' text-anchor='{anchor}' font-weight='{weight}' fill='#222'>{escape(text)}</text>"


def number(value: float | None) -> str:
    """Three digits of it, or all before the point; nothing for None."""
    if value is None:
        return ""
    for digits, least in ((0, 100), (1, 10), (2, 0)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    raise ValueError(value)
