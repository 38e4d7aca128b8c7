"""portfolios/. Source: oasis_api.md section 1.3."""

from typing import Any

from flask import Response
from sqlalchemy import delete, select

from services.api.actions import NO_MODEL, refuse_unfit_scaling, request_inputs
from services.api.call import Call
from services.api.deletion import give_up, give_up_runs
from services.api.errors import BadRequest, NotFound
from services.api.files import release_files
from services.api.filters import text_filters, time_filters, user_filter
from services.api.groups import change_groups, set_groups
from services.api.http import body_of, empty_answer, json_answer
from services.api.listing import listed
from services.api.lookups import admit, find, find_analysis, referred, seen
from services.api.schemas.fields import load
from services.api.schemas.requests import PortfolioAnalysisBody, PortfolioBody, PortfolioBodyV2, ReportingCurrencyBody
from services.api.serialize.analyses import analysis_body
from services.api.serialize.portfolios import FILE_FIELDS, portfolio_body, portfolio_list
from services.api.views.analyses import check_run_mode, refuse_empty_portfolio
from shared.database.resources import Analysis, Model, Portfolio

_OWNED = (*FILE_FIELDS, "run_errors_file", "exposure_run_file")
FILTERS = (
    text_filters(name=Portfolio.name)
    | user_filter(Portfolio.creator_id)
    | time_filters(Portfolio.created, Portfolio.modified)
)


def list_portfolios(call: Call) -> Response:
    """All portfolios, shorter than one alone."""
    return json_answer(portfolio_list(call, listed(call, seen(call, Portfolio), FILTERS)))


def create_portfolio(call: Call) -> Response:
    """A new portfolio, without files."""
    values = _load(call, partial=False)
    portfolio = Portfolio(name=values["name"], creator_id=call.user.id)
    call.session.add(portfolio)
    call.session.flush()
    set_groups(call, portfolio, values.get("groups"))
    return json_answer(portfolio_body(call, portfolio), 201)


def get_portfolio(call: Call, pk: int) -> Response:
    """One portfolio."""
    return json_answer(portfolio_body(call, find(call, Portfolio, pk)))


def replace_portfolio(call: Call, pk: int) -> Response:
    """PUT: the name must be there."""
    return _update(call, pk, partial=False)


def change_portfolio(call: Call, pk: int) -> Response:
    """PATCH."""
    return _update(call, pk, partial=True)


def delete_portfolio(call: Call, pk: int) -> Response:
    """Delete the portfolio and its analyses; what runs is cancelled, and all files are released."""
    admit(call, Portfolio, pk)
    # Locked for deletion before anything goes, so that no analysis can join meanwhile.
    portfolio = call.session.scalars(select(Portfolio).where(Portfolio.id == pk).with_for_update()).one_or_none()
    if portfolio is None:
        raise NotFound
    for analysis_id in call.session.scalars(select(Analysis.id).filter_by(portfolio_id=pk).order_by(Analysis.id)).all():
        _end_analysis(call, analysis_id)
    release_files(call, *(getattr(portfolio, f"{field}_id") for field in _OWNED))
    give_up_runs(call, pk)
    call.session.flush()
    call.session.execute(delete(Portfolio).where(Portfolio.id == pk))
    return empty_answer(204)


def create_analysis(call: Call, pk: int) -> Response:
    """A new analysis whose input generation is requested at once."""
    portfolio = find(call, Portfolio, pk)
    values = load(PortfolioAnalysisBody, body_of(call.request))
    refuse_empty_portfolio(portfolio)
    if values.get("model") is None:
        raise BadRequest(NO_MODEL)
    model = referred(call, Model, values["model"], "model")
    check_run_mode(call, model)
    if call.version != "v1":
        refuse_unfit_scaling(call, model)
    analysis = Analysis(
        name=values["name"],
        portfolio_id=portfolio.id,
        model_id=model.id,
        creator_id=call.user.id,
    )
    call.session.add(analysis)
    call.session.flush()
    request_inputs(call, analysis, model, "V1" if call.version == "v1" else None)
    return json_answer(analysis_body(call, analysis), 201)


def get_reporting_currency(call: Call, pk: int) -> Response:
    """The currency that losses are reported in."""
    portfolio = find(call, Portfolio, pk)
    if not portfolio.reporting_currency:
        raise NotFound
    return json_answer({"reporting_currency": portfolio.reporting_currency})


def post_reporting_currency(call: Call, pk: int) -> Response:
    """Set the currency."""
    portfolio = find(call, Portfolio, pk)
    portfolio.reporting_currency = load(ReportingCurrencyBody, body_of(call.request))["reporting_currency"]
    return json_answer({"reporting_currency": portfolio.reporting_currency})


def delete_reporting_currency(call: Call, pk: int) -> Response:
    """Forget the currency."""
    portfolio = find(call, Portfolio, pk)
    if not portfolio.reporting_currency:
        raise NotFound
    portfolio.reporting_currency = ""
    return json_answer({"reporting_currency": ""})


def _update(call: Call, pk: int, *, partial: bool) -> Response:
    portfolio = find(call, Portfolio, pk)
    values = _load(call, partial=partial)
    portfolio.name = values.get("name", portfolio.name)
    change_groups(call, portfolio, values, partial=partial)
    call.session.flush()
    return json_answer(portfolio_body(call, portfolio))


def _load(call: Call, *, partial: bool) -> dict[str, Any]:
    schema = PortfolioBody if call.version == "v1" else PortfolioBodyV2
    return load(schema, body_of(call.request), partial=partial)


def _end_analysis(call: Call, analysis_id: int) -> None:
    try:
        analysis = find_analysis(call, analysis_id)
    except NotFound:
        return
    give_up(call, analysis)
