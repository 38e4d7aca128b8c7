"""The losses of a run as values: average annual losses and exceedance-probability curves.

Codes are those of the Oasis Results Data (ORD) standard, as the programs `aalpy` and `lecpy` of `oasislmf` write them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

DEFAULT_RETURN_PERIODS = (2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 250.0, 500.0, 1000.0)


class Perspective(StrEnum):
    """Whose loss: before insurance, of the insurer, of the insurer after reinsurance."""

    GROUND_UP = "gul"
    INSURED = "il"
    REINSURED = "ri"

    @property
    def words(self) -> str:
        """The perspective in words."""
        return {"gul": "Ground-up", "il": "Insured", "ri": "Net of reinsurance"}[self.value]


class Calculation(IntEnum):
    """How `lecpy` made a curve (`EPCalc`)."""

    MEAN_DAMAGE_RATIO = 1
    FULL_UNCERTAINTY = 2
    PER_SAMPLE_MEAN = 3
    MEAN_SAMPLE = 4

    @property
    def words(self) -> str:
        """The calculation in words."""
        return self.name.lower().replace("_", " ")


class CurveKind(IntEnum):
    """What a curve ranks (`EPType`): the largest event of a year, or the sum of a year. 2 and 4 are tail values."""

    OEP = 1
    AEP = 3

    @property
    def words(self) -> str:
        """The kind in words."""
        return {CurveKind.OEP: "Loss of the largest event (OEP)", CurveKind.AEP: "Loss of the year (AEP)"}[self]


class Basis(IntEnum):
    """Which losses an average is taken over (`SampleType`)."""

    ANALYTICAL = 1
    SAMPLE = 2

    @property
    def words(self) -> str:
        """The basis in words."""
        return {Basis.ANALYTICAL: "analytical means", Basis.SAMPLE: "samples"}[self]


PREFERRED_CALCULATIONS = (
    Calculation.FULL_UNCERTAINTY,
    Calculation.MEAN_SAMPLE,
    Calculation.PER_SAMPLE_MEAN,
    Calculation.MEAN_DAMAGE_RATIO,
)
"""Full uncertainty ranks every sample of every year, so it keeps the spread that the means of samples lose."""


@dataclass(frozen=True)
class AverageAnnualLoss:
    """`mean` and `std` of a year's loss, in the portfolio's currency.

    `std` is None over several summary ids (standard deviations do not add up) and in reports of means alone.
    """

    mean: float
    std: float | None
    basis: Basis


@dataclass(frozen=True)
class CurvePoint:
    """A loss that is exceeded once in `return_period` years on average."""

    return_period: float
    loss: float


@dataclass(frozen=True)
class Curve:
    """One exceedance-probability curve; the points' return periods ascend."""

    kind: CurveKind
    calculation: Calculation
    points: tuple[CurvePoint, ...]

    def loss_at(self, return_period: float) -> float | None:
        """The loss at a return period that the report holds; None for any other, nothing is interpolated."""
        tolerance = 1e-5 * return_period  # the report has six decimals of a single-precision number
        near = (point.loss for point in self.points if abs(point.return_period - return_period) <= tolerance)
        return next(near, None)


@dataclass(frozen=True)
class SummaryCurves:
    """The curves of one summary id; a curve that the run did not write is None."""

    summary_id: int
    label: str
    oep: Curve | None
    aep: Curve | None

    def of(self, kind: CurveKind) -> Curve | None:
        """The curve of one kind."""
        return self.oep if kind is CurveKind.OEP else self.aep


@dataclass(frozen=True)
class PerspectiveLosses:
    """The losses of one perspective.

    `summary_set` is the set that was read, None if the perspective is not in the outputs. `summary_ids` is how many ids
    it splits the portfolio into: with one, its curve is the portfolio's; with more, each has its own curve, and there
    is no curve of the total. `missing` says in sentences what the outputs do not hold.
    """

    perspective: Perspective
    summary_set: int | None
    summary_ids: int
    aal: AverageAnnualLoss | None
    curves: tuple[SummaryCurves, ...]
    missing: tuple[str, ...]


class TitledCurve(NamedTuple):
    """A curve with the words to show it under."""

    title: str
    perspective: Perspective
    curve: Curve


@dataclass(frozen=True)
class Losses:
    """The losses of a run: all three perspectives in order, and the return periods that tables show."""

    perspectives: tuple[PerspectiveLosses, ...]
    return_periods: tuple[float, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Everything that the outputs do not hold."""
        return tuple(sentence for losses in self.perspectives for sentence in losses.missing)

    def curves(self, kind: CurveKind, most: int | None = None) -> tuple[TitledCurve, ...]:
        """The curves of one kind; of every perspective's summary ids only the first `most`, if that is given."""
        return tuple(
            TitledCurve(curve_title(losses, summary), losses.perspective, curve)
            for losses in self.perspectives
            for summary in losses.curves[:most]
            if (curve := summary.of(kind)) is not None
        )

    def shown_return_periods(self) -> tuple[float, ...]:
        """Those of `return_periods` that at least one curve holds."""
        curves = [curve for kind in CurveKind for _, _, curve in self.curves(kind)]
        return tuple(rp for rp in self.return_periods if any(curve.loss_at(rp) is not None for curve in curves))


def curve_title(losses: PerspectiveLosses, summary: SummaryCurves) -> str:
    """`Insured` for the whole portfolio, `Insured, 2: UK` for one summary id of several."""
    if losses.summary_ids <= 1:
        return losses.perspective.words
    return f"{losses.perspective.words}, {summary.summary_id}: {summary.label}"


def preferred_calculation(available: Iterable[set[Calculation]]) -> Calculation | None:
    """The best calculation that every curve has, so that they compare; without a common one None."""
    common = set.intersection(*sets) if (sets := [found for found in available if found]) else set()
    return next((calculation for calculation in PREFERRED_CALCULATIONS if calculation in common), None)
