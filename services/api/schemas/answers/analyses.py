"""Analyses. Source: oasis_api.md section 1.5."""

from marshmallow import fields

from services.api.schemas.answers.base import Answer, StatusCount, link, moment, one, several, text, whole
from services.api.schemas.requests import CHUNK_STRATEGIES, RUN_MODES, SCALING_STRATEGIES
from shared.core.states import AnalysisStatus


class AnalysisFiles(Answer):
    """Links to the files of an analysis; null where it does not have one."""

    settings_file = link(nullable=True)
    input_file = link(nullable=True)
    input_generation_traceback_file = link(nullable=True)
    output_file = link(nullable=True)
    run_traceback_file = link(nullable=True)
    run_log_file = link(nullable=True)
    lookup_errors_file = link(nullable=True)
    lookup_success_file = link(nullable=True)
    lookup_validation_file = link(nullable=True)
    summary_levels_file = link(nullable=True)


class _AnalysisV1(AnalysisFiles):
    """What every form of an analysis has."""

    created = moment()
    modified = moment()
    name = text()
    id = whole()
    portfolio = whole("Its id")
    model = whole("Its id", nullable=True)
    status = text(only=AnalysisStatus)
    task_started = moment(nullable=True)
    task_finished = moment(nullable=True)
    complex_model_data_files = several(fields.Integer(), "Ids of data files")
    settings = link(nullable=True)
    storage_links = link()


class ListedAnalysisV1(_AnalysisV1):
    """An analysis in a list, with its events as texts."""

    num_events_complete = text()
    num_events_total = text()


class AnalysisV1(_AnalysisV1):
    """An analysis."""

    num_events_complete = whole()
    num_events_total = whole()


class Analysis(AnalysisV1):
    """An analysis, with the progress of the run that its status belongs to."""

    run_mode = text(only=RUN_MODES, nullable=True)
    chunking_configuration = link()
    lookup_chunks = whole(nullable=True)
    analysis_chunks = whole(nullable=True)
    sub_task_count = whole()
    sub_task_list = link()
    sub_task_error_ids = several(fields.Integer())
    status_count = one(StatusCount)
    groups = several(fields.String(), "Names of the portfolio's groups")
    priority = whole()


class AnalysisLinks(Answer):
    """The stored names of an analysis' files."""

    settings_file = text(nullable=True)
    input_file = text(nullable=True)
    input_generation_traceback_file = text(nullable=True)
    output_file = text(nullable=True)
    run_traceback_file = text(nullable=True)
    run_log_file = text(nullable=True)
    lookup_errors_file = text(nullable=True)
    lookup_success_file = text(nullable=True)
    lookup_validation_file = text(nullable=True)
    summary_levels_file = text(nullable=True)


class RunProgress(Answer):
    """How many events are done, as a sentence."""

    Status = text()


class Chunking(Answer):
    """How runs are split; all null for an analysis that leaves it to its model."""

    lookup_strategy = text(only=CHUNK_STRATEGIES, nullable=True)
    loss_strategy = text(only=CHUNK_STRATEGIES, nullable=True)
    dynamic_locations_per_lookup = whole(nullable=True)
    dynamic_events_per_analysis = whole(nullable=True)
    dynamic_chunks_max = whole(nullable=True)
    fixed_analysis_chunks = whole(nullable=True)
    fixed_lookup_chunks = whole(nullable=True)


class Scaling(Answer):
    """How many workers a model wants."""

    scaling_strategy = text(only=SCALING_STRATEGIES)
    worker_count_fixed = whole()
    worker_count_max = whole()
    worker_count_min = whole()
    chunks_per_worker = whole()
