"""Bodies that ask for work of the internal worker. Source: oasis_api.md sections 1.3 and 1.5."""

from marshmallow import Schema

from services.api.schemas.fields import Choice, Document, PkList, Text

FILE_TYPES = {
    "location": "location_file",
    "accounts": "accounts_file",
    "ri_info": "reinsurance_info_file",
    "ri_scope": "reinsurance_scope_file",
}
"""What clients call an exposure file here, and its field."""

LONGEST_COMBINED_NAME = 239
"""Characters: the portfolio that comes with it is called `<name>-dummy-portfolio`."""


class ValidationBody(Schema):
    """The request of a validation; whatever it holds is ignored."""


class ExposureRunBody(Schema):
    """The request of an exposure run; what `params` may hold is in oasis_api.md section 8.4."""

    params = Document(allow_none=True)


class ExposureTransformBody(Schema):
    """The text beside the two files of a transformation."""

    file_type = Choice(tuple(FILE_TYPES), required=True)


class CombineBody(Schema):
    """Analyses whose losses are combined, and how."""

    analysis_ids = PkList(allow_none=True)
    config = Document(allow_none=True)
    name = Text(longest=LONGEST_COMBINED_NAME, load_default="combine-analysis")
