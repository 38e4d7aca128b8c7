"""analyses/combine/: one set of losses out of those of several analyses. Source: oasis_api.md section 1.5."""

from typing import Any

from flask import Response

from services.api.call import Call
from services.api.errors import BadRequest
from services.api.files import find_files, store_json
from services.api.groups import set_groups
from services.api.http import body_of, json_answer
from services.api.lookups import seen
from services.api.portfolio_inputs import for_this_run, references
from services.api.schemas.fields import load
from services.api.schemas.server_work import CombineBody
from services.api.serialize.analyses import analysis_body
from shared.core.inputs import RunInputs
from shared.core.states import AnalysisStatus
from shared.database.combined_runs import request_combination
from shared.database.resources import Analysis, File, Portfolio


def combine(call: Call) -> Response:
    """A new analysis whose outputs are the combined losses of others."""
    values = load(CombineBody, body_of(call.request))
    sources = _sources(call, values)
    _check(sources)
    ids = (file_id for each in sources for file_id in (each.input_file_id, each.output_file_id))
    files = find_files(call, {file_id for file_id in ids if file_id is not None})
    config = store_json(call, values["config"], "combine_config.json")
    for_this_run(call, config)
    portfolio = Portfolio(name=f"{values['name']}-dummy-portfolio", creator_id=call.user.id)
    call.session.add(portfolio)
    call.session.flush()
    set_groups(call, portfolio, None)
    analysis = Analysis(name=values["name"], portfolio_id=portfolio.id, creator_id=call.user.id)
    request_combination(
        call.session, analysis, RunInputs(references(_named(sources, files) | {"combine_config": config}))
    )
    return json_answer(analysis_body(call, analysis))


def _sources(call: Call, values: dict[str, Any]) -> list[Analysis]:
    """The analyses in the order asked for; what they have stays while this request lasts."""
    ids = values.get("analysis_ids")
    if not ids:
        raise BadRequest({"analysis_ids": "Analysis ids not provided."})
    if not values.get("config"):
        raise BadRequest({"config": "Combine config not provided."})
    query = seen(call, Analysis).where(Analysis.id.in_(ids)).with_for_update(read=True, key_share=False)
    found = {analysis.id: analysis for analysis in call.session.scalars(query)}
    if len(found) < len(ids):
        raise BadRequest({"analysis_ids": f"Not all selected analyses {ids} found."})
    return [found[pk] for pk in ids]


def _check(sources: list[Analysis]) -> None:
    """Raises BadRequest with everything that the analyses lack."""
    refusals: dict[str, list[str]] = {}
    if any(each.status != AnalysisStatus.RUN_COMPLETED for each in sources):
        refusals["status"] = [f"Analyses status must be [{AnalysisStatus.RUN_COMPLETED}]"]
    for field, article in (("input_file", "an input file"), ("output_file", "an output_file")):
        without = [each.id for each in sources if getattr(each, f"{field}_id") is None]
        if without:
            refusals[field] = [f"Analysis ID {pk} does not have {article}" for pk in without]
    if refusals:
        raise BadRequest(refusals)


def _named(sources: list[Analysis], files: dict[int, File]) -> dict[str, File]:
    """`input_file_1`, `output_file_1`, … in the order of the analyses."""
    fields = ("input_file", "output_file")
    pairs = ((f"{field}_{n}", getattr(each, f"{field}_id")) for n, each in enumerate(sources, 1) for field in fields)
    return {name: files[file_id] for name, file_id in pairs}
