"""From the output folder of a run to its losses: which summary set, which average, which curves."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from .losses import (
    DEFAULT_RETURN_PERIODS,
    AverageAnnualLoss,
    Basis,
    Calculation,
    Curve,
    CurveKind,
    Losses,
    Perspective,
    PerspectiveLosses,
    SummaryCurves,
    preferred_calculation,
)
from .ord_tables import AverageRow, SummarySet, read_summary_sets


def read_losses(folder: Path, return_periods: Sequence[float] = DEFAULT_RETURN_PERIODS) -> Losses:
    """Read the losses of an unpacked `output` folder, `return_periods` being the years that tables shall show.

    Every curve is of one calculation if there is one that all have, by preference full uncertainty. A report that the
    run did not write is no error, but named in `missing`. Raises `OutputFolderMissingError` and `UnreadableTableError`.
    """
    chosen = {perspective: choose_set(read_summary_sets(folder, perspective)) for perspective in Perspective}
    calculation = preferred_calculation(calculations for found in chosen.values() for calculations in _available(found))
    perspectives = tuple(perspective_losses(name, found, calculation) for name, found in chosen.items())
    return Losses(perspectives, tuple(sorted(return_periods)))


def choose_set(sets: Sequence[SummarySet]) -> SummarySet | None:
    """The set that says most about the whole portfolio: most tables, then fewest summary ids, then lowest number.

    Every set splits the same losses, so the totals are the same whichever is read.
    """

    def rank(found: SummarySet) -> tuple[int, int, int]:
        absent = (found.averages is None) + (found.curves is None)
        return absent, len(found.ids), found.number

    return min(sets, key=rank, default=None)


def perspective_losses(
    name: Perspective, found: SummarySet | None, calculation: Calculation | None
) -> PerspectiveLosses:
    """The losses of one perspective from its summary set; `calculation` None lets each curve take its best."""
    if found is None:
        return PerspectiveLosses(name, None, 0, None, (), (f"{name.words}: not in the outputs",))
    curves = tuple(_summary_curves(found, summary_id, calculation) for summary_id in _ids_with_curves(found))
    return PerspectiveLosses(
        perspective=name,
        summary_set=found.number,
        summary_ids=len(found.ids),
        aal=total_average(found.averages or ()),
        curves=curves,
        missing=tuple(f"{name.words}: {sentence}" for sentence in _missing(found)),
    )


def total_average(rows: Iterable[AverageRow]) -> AverageAnnualLoss | None:
    """The sum over summary ids; of samples if there were any, as the curves are, else analytical.

    A run without samples writes `nan` for them.
    """
    known = [row for row in rows if not math.isnan(row.mean)]
    for basis in (Basis.SAMPLE, Basis.ANALYTICAL):
        of_basis = [row for row in known if row.basis is basis]
        if of_basis:
            std = of_basis[0].std if len(of_basis) == 1 else None  # standard deviations do not add up
            return AverageAnnualLoss(math.fsum(row.mean for row in of_basis), std, basis)
    return None


def _available(found: SummarySet | None) -> Iterable[set[Calculation]]:
    keys = (found.curves or {}) if found else {}
    curves = {(summary_id, kind) for summary_id, _, kind in keys}
    return [{key[1] for key in keys if (key[0], key[2]) == curve} for curve in curves]


def _ids_with_curves(found: SummarySet) -> list[int]:
    return sorted({key[0] for key in found.curves or {}})


def _summary_curves(found: SummarySet, summary_id: int, calculation: Calculation | None) -> SummaryCurves:
    label = found.labels.get(summary_id, "")
    oep, aep = (_curve(found, summary_id, kind, calculation) for kind in CurveKind)
    return SummaryCurves(summary_id, label, oep, aep)


def _curve(found: SummarySet, summary_id: int, kind: CurveKind, calculation: Calculation | None) -> Curve | None:
    tables = found.curves or {}
    available = {key[1] for key in tables if (key[0], key[2]) == (summary_id, kind)}
    best = preferred_calculation([available & {calculation}]) if calculation else preferred_calculation([available])
    return None if best is None else Curve(kind, best, tables[summary_id, best, kind])


def _missing(found: SummarySet) -> list[str]:
    sentences = [f"{name} is in parquet, which is not read here; ask for csv outputs" for name in found.unread]
    if found.averages is None:
        sentences.append("no average annual loss (alt_period) in the outputs")
    kinds = {key[2] for key in found.curves or {}}
    sentences += [f"no {kind.name} curve (ept) in the outputs" for kind in CurveKind if kind not in kinds]
    return sentences
