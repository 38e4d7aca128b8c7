"""The bodies of requests. Source: oasis_api.md sections 1.2 to 1.5 and 4."""

from marshmallow import Schema, fields

from services.api.schemas.fields import (
    LARGEST_ID,
    LARGEST_INTEGER,
    Choice,
    Document,
    NameList,
    Number,
    Pk,
    PkList,
    StrictNumber,
    Text,
)
from shared.core.chunking import ChunkStrategy

LARGEST_FIXED_CHUNKS = 32767
RUN_MODES = ("V1", "V2")
CHUNK_STRATEGIES = tuple(ChunkStrategy)
SCALING_STRATEGIES = ("FIXED_WORKERS", "QUEUE_LOAD", "DYNAMIC_TASKS")


class ModelBody(Schema):
    """A model."""

    supplier_id = Text(required=True)
    model_id = Text(required=True)
    version_id = Text(required=True)
    data_files = PkList()
    run_mode = Choice(RUN_MODES, allow_none=True)


class ModelBodyV2(ModelBody):
    """A model, with its settings and groups."""

    settings = Document()
    groups = NameList()


class PortfolioBody(Schema):
    """A portfolio."""

    name = Text(required=True)


class PortfolioBodyV2(PortfolioBody):
    """A portfolio, with its groups."""

    groups = NameList()


class PresignedUploadBody(Schema):
    """A file that is about to be put into the object store."""

    filename = Text(required=True)
    content_type = Text(required=True)


class PortfolioAnalysisBody(Schema):
    """An analysis of a portfolio: portfolios/{id}/create_analysis/."""

    name = Text(required=True)
    model = Pk(allow_none=True)


class DataFileBody(Schema):
    """A data file."""

    file_description = Text(required=True)
    file_category = Text(allow_none=True, blank=True)


class DataFileBodyV2(DataFileBody):
    """A data file, with its groups."""

    groups = NameList()


class AnalysisBody(Schema):
    """An analysis."""

    name = Text(required=True)
    portfolio = Pk(required=True)
    model = Pk(allow_none=True)
    complex_model_data_files = PkList()


class AnalysisBodyV2(AnalysisBody):
    """An analysis, with its priority and settings."""

    priority = Number(least=1, most=10)
    settings = Document()


class TemplateBody(Schema):
    """A template of analysis settings."""

    name = Text(required=True)
    description = Text(allow_none=True, blank=True)


class NewTemplateBody(TemplateBody):
    """A new template, perhaps with the settings of an analysis."""

    analysis_id = Number(least=0, most=LARGEST_ID, allow_none=True)


class ChunkingBody(Schema):
    """A chunking_configuration."""

    lookup_strategy = Choice(CHUNK_STRATEGIES)
    loss_strategy = Choice(CHUNK_STRATEGIES)
    dynamic_locations_per_lookup = StrictNumber(least=1)
    dynamic_events_per_analysis = StrictNumber(least=1)
    dynamic_chunks_max = StrictNumber(least=1)
    fixed_analysis_chunks = StrictNumber(least=1, most=LARGEST_FIXED_CHUNKS, allow_none=True)
    fixed_lookup_chunks = StrictNumber(least=1, most=LARGEST_FIXED_CHUNKS, allow_none=True)


class ScalingBody(Schema):
    """A scaling_configuration."""

    scaling_strategy = Choice(SCALING_STRATEGIES)
    worker_count_fixed = StrictNumber(least=0)
    worker_count_max = StrictNumber(least=0)
    worker_count_min = StrictNumber(least=0)
    chunks_per_worker = StrictNumber(least=0)


class ReportingCurrencyBody(Schema):
    """The currency that a portfolio is reported in."""

    reporting_currency = Text(required=True, longest=3)


class LogInBody(Schema):
    """Who wants tokens: a user, or a client of an identity provider."""

    username = Text()
    password = Text()
    client_id = Text()
    client_secret = Text()


class CodeBody(Schema):
    """The code of a login at the provider, and the address that it was sent to."""

    code = Text()
    redirect_uri = Text()


class SessionTokenBody(Schema):
    """What a login has handed over."""

    session_token = Text()


class RevocationBody(Schema):
    """Which tokens of the account are good no more: the one of the header, or all."""

    all = fields.Boolean()


class ReportBody(Schema):
    """Progress of an analysis: the events in total, or how many more are complete."""

    analysis_pk = Number(least=0, most=LARGEST_ID, required=True)
    events_total = Number(least=0, most=LARGEST_INTEGER)
    events_complete = Number(least=0, most=LARGEST_INTEGER)


class StorageLinksBody(Schema):
    """Stored names of files to attach, at least one."""

    location_file = Text()
    accounts_file = Text()
    reinsurance_info_file = Text()
    reinsurance_scope_file = Text()
    currency_conversion_json = Text()
