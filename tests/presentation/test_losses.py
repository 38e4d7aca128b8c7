"""Losses from hand-written ORD tables with known values."""

import pytest

from services.embedded.presentation.losses import Basis, Calculation, CurveKind, Perspective
from services.embedded.presentation.ord_tables import OutputFolderMissingError, UnreadableTableError
from services.embedded.presentation.read_losses import read_losses


def of(losses, perspective):
    return next(found for found in losses.perspectives if found.perspective is perspective)


def test_averages_of_samples_are_read_for_every_perspective(full_outputs):
    losses = read_losses(full_outputs.folder)

    means = {found.perspective: found.aal.mean for found in losses.perspectives}
    assert means == {Perspective.GROUND_UP: 120, Perspective.INSURED: 60, Perspective.REINSURED: 40}
    assert of(losses, Perspective.INSURED).aal.std == 15
    assert {found.aal.basis for found in losses.perspectives} == {Basis.SAMPLE}
    assert losses.missing == ()


def test_oep_and_aep_losses_are_read_at_return_periods_and_never_interpolated(outputs):
    outputs.ept(
        "gul_S1", "1,2,3,100.000000,700.5", "1,2,1,100.000000,500.0", "1,2,1,250.000000,900.0", "1,2,2,100.0,1.0"
    )

    (curves,) = of(read_losses(outputs.folder), Perspective.GROUND_UP).curves

    assert curves.oep.loss_at(100) == 500.0
    assert curves.aep.loss_at(100) == 700.5
    assert curves.oep.loss_at(200) is None
    assert [point.return_period for point in curves.oep.points] == [100, 250]


def test_only_asked_return_periods_that_a_curve_holds_are_shown(full_outputs):
    losses = read_losses(full_outputs.folder, return_periods=(250, 10, 5))

    assert losses.shown_return_periods() == (10, 250)


def test_single_precision_return_periods_are_found(outputs):
    outputs.ept("gul_S1", "1,2,1,333.333344,5.0")

    (curves,) = of(read_losses(outputs.folder), Perspective.GROUND_UP).curves

    assert curves.oep.loss_at(1000 / 3) == 5.0


@pytest.mark.parametrize(
    ("written", "chosen"),
    [
        ((1, 2, 3, 4), Calculation.FULL_UNCERTAINTY),
        ((1, 3, 4), Calculation.MEAN_SAMPLE),
        ((1, 3), Calculation.PER_SAMPLE_MEAN),
        ((1,), Calculation.MEAN_DAMAGE_RATIO),
    ],
)
def test_full_uncertainty_is_preferred_then_means(outputs, written, chosen):
    outputs.ept("gul_S1", *(f"1,{code},1,100.0,{code * 1000}" for code in written))

    (curves,) = of(read_losses(outputs.folder), Perspective.GROUND_UP).curves

    assert curves.oep.calculation is chosen
    assert curves.oep.loss_at(100) == chosen * 1000


def test_curves_are_of_one_calculation_when_all_have_it(outputs):
    outputs.ept("gul_S1", "1,2,1,100.0,1.0", "1,4,1,100.0,2.0")
    outputs.ept("il_S1", "1,4,1,100.0,3.0")

    curves = read_losses(outputs.folder).curves(CurveKind.OEP)

    assert [(found.curve.calculation, found.curve.loss_at(100)) for found in curves] == [
        (Calculation.MEAN_SAMPLE, 2.0),
        (Calculation.MEAN_SAMPLE, 3.0),
    ]


def test_without_a_common_calculation_each_curve_takes_its_best(outputs):
    outputs.ept("gul_S1", "1,2,1,100.0,1.0")
    outputs.ept("il_S1", "1,3,1,100.0,2.0", "1,1,1,100.0,3.0")

    curves = read_losses(outputs.folder).curves(CurveKind.OEP)

    assert [found.curve.calculation for found in curves] == [Calculation.FULL_UNCERTAINTY, Calculation.PER_SAMPLE_MEAN]


def test_averages_of_several_summary_ids_add_up_but_standard_deviations_do_not(outputs):
    outputs.palt("gul_S1", "1,2,10.5,3.0", "2,2,20.0,4.0", "1,1,99.0,0.0", "2,1,99.0,0.0")

    aal = of(read_losses(outputs.folder), Perspective.GROUND_UP).aal

    assert (aal.mean, aal.std, aal.basis) == (30.5, None, Basis.SAMPLE)


def test_curves_of_several_summary_ids_stay_apart_under_their_labels(outputs):
    outputs.write(
        "gul_S1_summary-info.csv", "summary_id,CountryCode,OccupancyCode,tiv", "1,GB,1050,10.0", "2,FR,1100,20.0"
    )
    outputs.ept("gul_S1", "1,2,1,100.0,1.0", "2,2,1,100.0,2.0")

    losses = read_losses(outputs.folder)

    titles = {found.title: found.curve.loss_at(100) for found in losses.curves(CurveKind.OEP)}
    assert titles == {"Ground-up, 1: GB / 1050": 1.0, "Ground-up, 2: FR / 1100": 2.0}
    assert len(losses.curves(CurveKind.OEP, most=1)) == 1


def test_the_set_that_is_the_whole_portfolio_is_preferred(outputs):
    outputs.palt("gul_S1", "1,2,10.0,3.0", "2,2,20.0,4.0")
    outputs.palt("gul_S2", "1,2,30.0,6.5")

    found = of(read_losses(outputs.folder), Perspective.GROUND_UP)

    assert (found.summary_set, found.summary_ids) == (2, 1)
    assert (found.aal.mean, found.aal.std) == (30.0, 6.5)


def test_an_id_that_never_had_a_loss_still_splits_the_portfolio(outputs):
    outputs.write("il_S1_summary-info.csv", "summary_id,AccNumber,tiv", "1,A1,10.0", "2,A2,20.0")
    outputs.palt("il_S1", "2,2,20.0,4.0")
    outputs.ept("il_S1", "2,2,1,100.0,2.0")

    losses = read_losses(outputs.folder)

    assert of(losses, Perspective.INSURED).aal.std == 4.0
    assert [found.title for found in losses.curves(CurveKind.OEP)] == ["Insured, 2: A2"]


def test_what_is_not_in_the_outputs_is_none_and_said(outputs):
    outputs.palt("gul_S1", "1,2,10.0,3.0")
    outputs.ept("il_S1", "1,2,3,100.0,2.0")

    losses = read_losses(outputs.folder)

    assert of(losses, Perspective.GROUND_UP).curves == ()
    assert of(losses, Perspective.INSURED).aal is None
    assert of(losses, Perspective.INSURED).curves[0].oep is None
    assert of(losses, Perspective.REINSURED).summary_set is None
    assert losses.missing == (
        "Ground-up: no OEP curve (ept) in the outputs",
        "Ground-up: no AEP curve (ept) in the outputs",
        "Insured: no average annual loss (alt_period) in the outputs",
        "Insured: no OEP curve (ept) in the outputs",
        "Net of reinsurance: not in the outputs",
    )


def test_averages_without_standard_deviations_are_read(outputs):
    outputs.write("gul_S1_altmeanonly.csv", "SummaryId,SampleType,MeanLoss", "1,1,8.0", "1,2,9.0")

    aal = of(read_losses(outputs.folder), Perspective.GROUND_UP).aal

    assert (aal.mean, aal.std) == (9.0, None)


def test_a_run_without_samples_shows_the_analytical_average(outputs):
    outputs.palt("gul_S1", "1,1,8.0,2.0", "1,2,nan,nan")

    aal = of(read_losses(outputs.folder), Perspective.GROUND_UP).aal

    assert (aal.mean, aal.std, aal.basis) == (8.0, 2.0, Basis.ANALYTICAL)


def test_reinsurance_at_an_inuring_priority_is_not_taken_for_the_final_losses(outputs):
    outputs.palt("ri_1_S1", "1,2,10.0,3.0")

    assert of(read_losses(outputs.folder), Perspective.REINSURED).aal is None


def test_tables_in_parquet_are_named_as_not_read(outputs):
    (outputs.folder / "gul_S1_ept.parquet").write_bytes(b"PAR1")

    assert any("gul_S1_ept.parquet is in parquet" in sentence for sentence in read_losses(outputs.folder).missing)


def test_columns_may_stand_in_any_order_and_have_others_between(outputs):
    outputs.write("gul_S1_palt.csv", "SDLoss,Country,MeanLoss,SampleType,SummaryId", "3.0,GB,10.0,2,1")

    aal = of(read_losses(outputs.folder), Perspective.GROUND_UP).aal

    assert (aal.mean, aal.std) == (10.0, 3.0)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("SummaryId,SampleType,SDLoss\n1,2,3.0\n", "the column MeanLoss is missing"),
        ("SummaryId,SampleType,MeanLoss,SDLoss\n1,2,abc,3.0\n", "line 2, could not convert"),
        ("SummaryId,SampleType,MeanLoss,SDLoss\n1,7,1.0,3.0\n", "line 2, 7 is not a valid Basis"),
        ("SummaryId,SampleType,MeanLoss,SDLoss\n1,2\n", "line 2"),
    ],
)
def test_a_broken_table_is_an_error_with_its_name_and_reason(outputs, table, reason):
    path = outputs.folder / "gul_S1_palt.csv"
    path.write_text(table, encoding="utf-8")

    with pytest.raises(UnreadableTableError) as caught:
        read_losses(outputs.folder)

    assert caught.value.path == path
    assert reason in str(caught.value)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OutputFolderMissingError, match="unpack the output file"):
        read_losses(tmp_path / "nowhere")
