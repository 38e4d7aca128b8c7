"""Models, portfolios and data files: what analyses are made from."""

from services.api.openapi.operations import (
    OBJECT,
    Body,
    Operation,
    Parameter,
    Shape,
    file_download,
    json_of,
    listed,
    taken_away,
    upload,
)
from services.api.openapi.parameters import filters
from services.api.openapi.tables.crud import Operations, crud
from services.api.schemas import requests, server_work
from services.api.schemas.answers import analyses, files, portfolios
from services.api.serialize.portfolios import EXPOSURE_FIELDS
from services.api.views import data_files, models, setting_templates
from services.api.views import portfolios as portfolio_views

_DOCUMENT = Body(Shape(OBJECT))
_CHUNKING, _SCALING, _TEMPLATE = Shape(analyses.Chunking), Shape(analyses.Scaling), Shape(files.Template)
_LINKS, _CURRENCY = Shape(portfolios.PortfolioLinks), Shape(portfolios.ReportingCurrency)
_TEMPLATES = "models/<pk>/setting_templates/"

_MODELS: dict[str, Operations] = {
    **crud(
        "models/",
        Shape(files.Model, files.ModelV1),
        json_of(requests.ModelBodyV2, requests.ModelBody),
        filters(models.FILTERS),
    ),
    "models/<pk>/versions/": {"GET": Operation(Shape(files.Versions, files.VersionsV1))},
    "models/<pk>/data_files/": {"GET": listed(files.DataFile, files.DataFileV1)},
    "models/<pk>/storage_links/": {"GET": Operation(Shape(files.ModelLinks))},
    "models/<pk>/settings/": {
        "GET": Operation(Shape(OBJECT)),
        "POST": Operation(Shape(files.UploadedFile), _DOCUMENT),
        "DELETE": taken_away(),
    },
    "models/<pk>/chunking_configuration/": {
        "GET": Operation(_CHUNKING),
        "POST": Operation(_CHUNKING, json_of(requests.ChunkingBody, required=False)),
    },
    "models/<pk>/scaling_configuration/": {
        "GET": Operation(_SCALING),
        "POST": Operation(_SCALING, json_of(requests.ScalingBody, required=False)),
    },
    _TEMPLATES: {
        "GET": listed(files.Template, filters=filters(setting_templates.FILTERS)),
        "POST": Operation(_TEMPLATE, json_of(requests.NewTemplateBody)),
    },
    f"{_TEMPLATES}<template>/": {
        "GET": Operation(_TEMPLATE),
        "PUT": Operation(_TEMPLATE, json_of(requests.TemplateBody)),
        "PATCH": Operation(_TEMPLATE, Body(Shape(requests.TemplateBody, partial=True), required=False)),
        "DELETE": Operation(status=(204,)),
    },
    f"{_TEMPLATES}<template>/content/": {
        "GET": Operation(Shape(OBJECT)),
        "POST": Operation(Shape(files.UploadedFile), _DOCUMENT),
        "DELETE": taken_away(),
    },
}
# Who creates a model again that was deleted gets it back.
_MODELS["models/"] = {
    **_MODELS["models/"],
    "POST": Operation(
        Shape(files.Model, files.ModelV1), json_of(requests.ModelBodyV2, requests.ModelBody), status=(201, 200)
    ),
}

_FORMATS = {"type": "string", "enum": ["csv", "parquet"]}
_CONVERTED = (Parameter("file_format", "Converted, where it is stored otherwise.", _FORMATS),)
_EXPOSURE: Operations = {
    "GET": file_download("Send the file, perhaps converted.", _CONVERTED),
    "POST": upload(files.UploadedExposure, "Take exposure as csv, parquet or compressed csv."),
    "DELETE": taken_away(),
}
_BEGIN = Operation(
    Shape(files.PresignedUpload),
    json_of(requests.PresignedUploadBody),
    status=(201,),
    about="Give a form to put the file straight into the object store.",
)
_COMPLETE = Operation(Shape(files.UploadedExposure), refusals=(400, 413), about="Take what has been put there.")


def _exposure_file(field: str) -> dict[str, Operations]:
    path = f"portfolios/<pk>/{field}/"
    return {path: _EXPOSURE, f"{path}presigned/": {"POST": _BEGIN}, f"{path}presigned/<upload>/": {"POST": _COMPLETE}}


_VALIDATED, _QUEUED = Shape(portfolios.ValidatedFiles), Shape(portfolios.Queued)
_FILE = {"type": "string", "format": "binary"}
_TRANSFORM_FORM = {
    "type": "object",
    "properties": {
        "mapping_file": _FILE,
        "transform_file": _FILE,
        "file_type": {"type": "string", "enum": list(server_work.FILE_TYPES)},
    },
    "required": ["mapping_file", "transform_file", "file_type"],
}
_TRANSFORM = Body(Shape(_TRANSFORM_FORM), media=("multipart/form-data",))
_PORTFOLIOS: dict[str, Operations] = {
    **crud(
        "portfolios/",
        Shape(portfolios.Portfolio, portfolios.PortfolioV1),
        json_of(requests.PortfolioBodyV2, requests.PortfolioBody),
        filters(portfolio_views.FILTERS),
        entry=Shape(portfolios.ListedPortfolio, portfolios.ListedPortfolioV1),
    ),
    "portfolios/<pk>/create_analysis/": {
        "POST": Operation(
            Shape(analyses.Analysis, analyses.AnalysisV1), json_of(requests.PortfolioAnalysisBody), status=(201,)
        ),
    },
    "portfolios/<pk>/storage_links/": {
        "GET": Operation(_LINKS),
        "POST": Operation(_LINKS, json_of(requests.StorageLinksBody)),
    },
    "portfolios/<pk>/validate/": {
        "GET": Operation(_VALIDATED),
        "POST": Operation(_VALIDATED, json_of(server_work.ValidationBody, required=False)),
    },
    "portfolios/<pk>/exposure_run/": {
        "GET": file_download("Send what the last exposure run computed."),
        "POST": Operation(_QUEUED, json_of(server_work.ExposureRunBody, required=False)),
    },
    "portfolios/<pk>/exposure_transform/": {"POST": Operation(_QUEUED, _TRANSFORM)},
    "portfolios/<pk>/errors_file/": {"GET": file_download()},
    **{path: what for field in EXPOSURE_FIELDS for path, what in _exposure_file(field).items()},
    "portfolios/<pk>/currency_conversion_json/": {
        "GET": file_download(),
        "POST": upload(files.UploadedFile),
        "DELETE": taken_away(),
    },
    "portfolios/<pk>/reporting_currency/": {
        "GET": Operation(_CURRENCY),
        "POST": Operation(_CURRENCY, json_of(requests.ReportingCurrencyBody)),
        "DELETE": Operation(_CURRENCY),
    },
}

_DATA_FILES: dict[str, Operations] = {
    **crud(
        "data_files/",
        Shape(files.DataFile, files.DataFileV1),
        json_of(requests.DataFileBodyV2, requests.DataFileBody),
        filters(data_files.FILTERS),
    ),
    "data_files/<pk>/content/": {
        "GET": file_download(),
        "POST": upload(files.UploadedFile),
        "DELETE": taken_away(),
    },
}

INPUTS = {**_MODELS, **_PORTFOLIOS, **_DATA_FILES}
