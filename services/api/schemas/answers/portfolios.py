"""Portfolios. Source: oasis_api.md section 1.3."""

from marshmallow import fields

from services.api.schemas.answers.base import Answer, link, moment, one, several, text, whole, yes_no

_STATUSES = ("NONE", "INSUFFICIENT_DATA", "STARTED", "ERROR", "RUN_COMPLETED")


class FileLink(Answer):
    """A file of a portfolio."""

    uri = link()
    name = text("The name that it was uploaded with")
    stored = text("The stored name")


class ExposureLink(FileLink):
    """An exposure file of a portfolio."""

    converted_uri = text(nullable=True)
    converted_stored = text(nullable=True)
    conversion_state = text(only=("NONE",))
    conversion_log_fie = text("So spelled, as clients know it", nullable=True)


class ListedPortfolioV1(Answer):
    """A portfolio in a list."""

    id = whole()
    name = text()
    created = moment()
    modified = moment()
    location_file = one(FileLink, nullable=True)
    accounts_file = one(FileLink, nullable=True)
    reinsurance_info_file = one(FileLink, nullable=True)
    reinsurance_scope_file = one(FileLink, nullable=True)
    storage_links = link()


class PortfolioV1(ListedPortfolioV1):
    """A portfolio."""

    exposure_status = text(only=_STATUSES)
    validation_status = text(only=_STATUSES)
    exposure_transform_status = text(only=_STATUSES)
    currency_conversion_json = one(FileLink, nullable=True)
    reporting_currency = text()


class ListedPortfolio(ListedPortfolioV1):
    """A portfolio in a list."""

    groups = several(fields.String(), "Names of the groups that it belongs to")
    location_file = one(ExposureLink, nullable=True)
    accounts_file = one(ExposureLink, nullable=True)
    reinsurance_info_file = one(ExposureLink, nullable=True)
    reinsurance_scope_file = one(ExposureLink, nullable=True)
    currency_conversion_json = one(FileLink, nullable=True)


class Portfolio(ListedPortfolio):
    """A portfolio."""

    exposure_status = text(only=_STATUSES)
    validation_status = text(only=_STATUSES)
    exposure_transform_status = text(only=_STATUSES)
    reporting_currency = text()


class PortfolioLinks(Answer):
    """The stored names of a portfolio's files."""

    location_file = text(nullable=True)
    accounts_file = text(nullable=True)
    reinsurance_info_file = text(nullable=True)
    reinsurance_scope_file = text(nullable=True)
    currency_conversion_json = text(nullable=True)


class ReportingCurrency(Answer):
    """The currency that losses are reported in."""

    reporting_currency = text()


class ValidatedFiles(Answer):
    """Which exposure files have been found valid; null where there is none."""

    location_validated = yes_no(nullable=True)
    accounts_validated = yes_no(nullable=True)
    reinsurance_info_validated = yes_no(nullable=True)
    reinsurance_scope_validated = yes_no(nullable=True)


class Queued(Answer):
    """The work has been asked for."""

    message = text(only=("in queue",))
