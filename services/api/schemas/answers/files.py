"""Files, and the objects that mostly hold them. Source: oasis_api.md sections 1.2 to 1.4 and 1.6."""

from marshmallow import fields

from services.api.schemas.answers.base import Answer, link, moment, several, text, texts, whole
from services.api.schemas.requests import RUN_MODES

_GROUPS = "Names of the groups that it belongs to"


class UploadedFile(Answer):
    """What an upload is answered with."""

    created = moment()
    file = text("The stored name")
    filename = text("The name that it was uploaded with")
    groups = several(fields.String(), _GROUPS)
    conversion_state = text(only=("NONE",))


class UploadedExposure(UploadedFile):
    """What the upload of an exposure file is answered with."""

    converted_file = text(nullable=True)
    mapping_file = text(nullable=True)


class PresignedUpload(Answer):
    """How a file can be put straight into the object store."""

    id = whole()
    url = link("Where the form is sent to, by POST as multipart/form-data")
    form = texts("The fields of the form, as they are; the file comes last")
    file_field = text("The name of the field of the file")
    largest = whole("Bytes of the largest file that the store takes")
    expires = moment("Until then the store takes the form")
    complete = link("Where to POST to afterwards")


class ModelV1(Answer):
    """A model."""

    id = whole()
    supplier_id = text()
    model_id = text()
    version_id = text()
    created = moment()
    modified = moment()
    data_files = several(fields.Integer(), "Ids of its data files")
    settings = link()
    versions = link()
    run_mode = text(only=RUN_MODES, nullable=True)


class Model(ModelV1):
    """A model."""

    scaling_configuration = link()
    chunking_configuration = link()
    groups = several(fields.String(), _GROUPS)


class VersionsV1(Answer):
    """The versions of what a model's workers run with."""

    ver_ktools = text(nullable=True)
    ver_oasislmf = text(nullable=True)
    ver_platform = text(nullable=True)


class Versions(VersionsV1):
    """The versions of what a model's workers run with."""

    ver_ods = text(nullable=True)
    ver_oed = text(nullable=True)


class ModelLinks(Answer):
    """The stored name of a model's settings."""

    settings_file = text(nullable=True)


class Template(Answer):
    """A template of analysis settings."""

    id = whole()
    name = text()
    description = text(nullable=True)
    file_url = link(nullable=True)


class DataFileV1(Answer):
    """A data file."""

    id = whole()
    file_description = text()
    file_category = text(nullable=True)
    created = moment()
    modified = moment()
    file = link("Its content", nullable=True)
    filename = text(nullable=True)
    stored = text("The stored name", nullable=True)
    content_type = text(nullable=True)


class DataFile(DataFileV1):
    """A data file."""

    groups = several(fields.String(), _GROUPS)
