"""Tables of what users work with: accounts, models, portfolios, data files, analyses, and the files of all of them."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy import Table as PlainTable
from sqlalchemy.orm import Mapped, mapped_column

from shared.core.states import AnalysisStatus, ExposureStatus
from shared.database.base import Created, Id, Modified, Moment, Table


class User(Table):
    """An account. The password is an argon2 hash."""

    __tablename__ = "users"
    id: Mapped[Id]
    username: Mapped[str] = mapped_column(String(150), unique=True)
    password_hash: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    is_staff: Mapped[bool] = mapped_column(server_default=text("false"))
    is_superuser: Mapped[bool] = mapped_column(server_default=text("false"))
    is_service: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether it is a machine's, not a person's."""
    token_generation: Mapped[int] = mapped_column(server_default=text("0"))
    """Tokens of earlier generations are revoked: it grows when the password changes or the account is closed."""
    issuer: Mapped[str | None] = mapped_column(String(255))
    """The OpenID Connect provider that vouches for it, and what the provider calls it."""
    subject: Mapped[str | None] = mapped_column(String(255))
    claims_at: Mapped[Moment | None]
    """When the provider said what the account may do and its groups, in a token or later."""
    created: Mapped[Created]
    __table_args__ = (UniqueConstraint("issuer", "subject"),)


class RevokedToken(Table):
    """A token that has been used up or revoked; kept until it would have expired anyway."""

    __tablename__ = "revoked_tokens"
    jti: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires: Mapped[Moment]


class File(Table):
    """One stored file. Its object is never overwritten: replacing a file makes a new row and releases the old one.

    A released row has no owner any more; its object is removed when no run that is alive reads it.
    """

    __tablename__ = "files"
    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(1024), unique=True)
    filename: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    rows: Mapped[int | None] = mapped_column(BigInteger)
    """Rows of a location file, counted when it came in; null where unknown."""
    oed_validated: Mapped[bool] = mapped_column(server_default=text("false"))
    """Of an exposure file: whether a validation has found nothing wrong with it."""
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created: Mapped[Created]
    released_at: Mapped[Moment | None]
    __table_args__ = (Index(None, "released_at", postgresql_where=text("released_at IS NOT NULL")),)


def _file() -> Mapped[int | None]:
    return mapped_column(ForeignKey("files.id", ondelete="SET NULL"))


class Model(Table):
    """What a vendor supplies, identified by supplier, model and version; a deleted triple can be revived."""

    __tablename__ = "models"
    id: Mapped[Id]
    supplier_id: Mapped[str] = mapped_column(String(255))
    model_id: Mapped[str] = mapped_column(String(255))
    version_id: Mapped[str] = mapped_column(String(255))
    run_mode: Mapped[str | None] = mapped_column(String(8))
    settings_file_id: Mapped[int | None] = _file()
    settings: Mapped[dict[str, Any] | None]
    """The parsed model_settings.json, as the settings file holds it."""
    ver_ktools: Mapped[str | None] = mapped_column(String(255))
    ver_oasislmf: Mapped[str | None] = mapped_column(String(255))
    ver_platform: Mapped[str | None] = mapped_column(String(255))
    ver_ods: Mapped[str | None] = mapped_column(String(255))
    ver_oed: Mapped[str | None] = mapped_column(String(255))
    oasislmf_config: Mapped[dict[str, Any] | None]
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created: Mapped[Created]
    modified: Mapped[Modified]
    deleted: Mapped[bool] = mapped_column(server_default=text("false"))
    __table_args__ = (UniqueConstraint("supplier_id", "model_id", "version_id"),)

    @property
    def queue(self) -> str:
        """The v1 queue: `{supplier}-{model}-{version}`."""
        return f"{self.supplier_id}-{self.model_id}-{self.version_id}"


class SettingTemplate(Table):
    """Analysis settings that a model offers under a name."""

    __tablename__ = "setting_templates"
    id: Mapped[Id]
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(String(255))
    file_id: Mapped[int | None] = _file()
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created: Mapped[Created]
    modified: Mapped[Modified]


class ModelScaling(Table):
    """How many workers a model wants; every model has one."""

    __tablename__ = "model_scaling"
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)
    scaling_strategy: Mapped[str] = mapped_column(String(32), server_default="FIXED_WORKERS")
    worker_count_fixed: Mapped[int] = mapped_column(server_default="1")
    worker_count_max: Mapped[int] = mapped_column(server_default="10")
    worker_count_min: Mapped[int] = mapped_column(server_default="0")
    chunks_per_worker: Mapped[int] = mapped_column(server_default="10")


class _Chunking:
    lookup_strategy: Mapped[str] = mapped_column(String(32), server_default="FIXED_CHUNKS")
    loss_strategy: Mapped[str] = mapped_column(String(32), server_default="FIXED_CHUNKS")
    dynamic_locations_per_lookup: Mapped[int] = mapped_column(server_default="10000")
    dynamic_events_per_analysis: Mapped[int] = mapped_column(server_default="1")
    dynamic_chunks_max: Mapped[int] = mapped_column(server_default="200")
    fixed_analysis_chunks: Mapped[int | None] = mapped_column(server_default="1")
    fixed_lookup_chunks: Mapped[int | None] = mapped_column(server_default="1")


class ModelChunking(_Chunking, Table):
    """Chunking of a model; every model has one."""

    __tablename__ = "model_chunking"
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), primary_key=True)


class AnalysisChunking(_Chunking, Table):
    """Chunking of one analysis; where there is one it overrides the model's entirely."""

    __tablename__ = "analysis_chunking"
    analysis_id: Mapped[int] = mapped_column(ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True)


class DataFile(Table):
    """A file that a model may read beside its own data."""

    __tablename__ = "data_files"
    id: Mapped[Id]
    file_description: Mapped[str] = mapped_column(String(255))
    file_category: Mapped[str | None] = mapped_column(String(255))
    file_id: Mapped[int | None] = _file()
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created: Mapped[Created]
    modified: Mapped[Modified]


def _run(name: str) -> Mapped[int | None]:
    key = ForeignKey("runs.id", ondelete="SET NULL", use_alter=True, name=f"fk_portfolios_{name}")
    return mapped_column(key)


class Portfolio(Table):
    """Exposure files of a user. The statuses move only by the table EXPOSURE of shared.core.states."""

    __tablename__ = "portfolios"
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(255))
    location_file_id: Mapped[int | None] = _file()
    accounts_file_id: Mapped[int | None] = _file()
    reinsurance_info_file_id: Mapped[int | None] = _file()
    reinsurance_scope_file_id: Mapped[int | None] = _file()
    currency_conversion_json_id: Mapped[int | None] = _file()
    reporting_currency: Mapped[str] = mapped_column(String(3), server_default="")
    exposure_status: Mapped[str] = mapped_column(String(32), server_default=ExposureStatus.NONE)
    exposure_run_id: Mapped[int | None] = _run("exposure_run_id")
    """The run that the status above belongs to; so it is with the other two."""
    validation_status: Mapped[str] = mapped_column(String(32), server_default=ExposureStatus.NONE)
    validation_run_id: Mapped[int | None] = _run("validation_run_id")
    exposure_transform_status: Mapped[str] = mapped_column(String(32), server_default=ExposureStatus.NONE)
    exposure_transform_run_id: Mapped[int | None] = _run("exposure_transform_run_id")
    exposure_run_file_id: Mapped[int | None] = _file()
    """What the last exposure run computed."""
    run_errors_file_id: Mapped[int | None] = _file()
    """What the last validation, exposure run or transformation had to say."""
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created: Mapped[Created]
    modified: Mapped[Modified]


class Analysis(Table):
    """A portfolio, a model and settings. `status` moves only by the table of shared.core.states."""

    __tablename__ = "analyses"
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(255))
    portfolio_id: Mapped[int] = mapped_column(ForeignKey("portfolios.id", ondelete="CASCADE"))
    model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    status: Mapped[str] = mapped_column(String(32), server_default=AnalysisStatus.NEW)
    current_run_id: Mapped[int | None] = mapped_column(
        ForeignKey("runs.id", ondelete="SET NULL", use_alter=True, name="fk_analyses_current_run_id")
    )
    """The run that the status belongs to."""
    run_mode: Mapped[str | None] = mapped_column(String(8))
    priority: Mapped[int] = mapped_column(server_default="4")
    task_started: Mapped[Moment | None]
    task_finished: Mapped[Moment | None]
    lookup_chunks: Mapped[int | None]
    analysis_chunks: Mapped[int | None]
    settings_file_id: Mapped[int | None] = _file()
    input_file_id: Mapped[int | None] = _file()
    lookup_errors_file_id: Mapped[int | None] = _file()
    lookup_success_file_id: Mapped[int | None] = _file()
    lookup_validation_file_id: Mapped[int | None] = _file()
    summary_levels_file_id: Mapped[int | None] = _file()
    output_file_id: Mapped[int | None] = _file()
    run_log_file_id: Mapped[int | None] = _file()
    inputs_traceback_run_id: Mapped[int | None] = mapped_column(BigInteger)
    """The run whose logs input_generation_traceback_file is composed of, on read; null when there is no such file."""
    losses_traceback_run_id: Mapped[int | None] = mapped_column(BigInteger)
    """The run whose logs run_traceback_file is composed of, on read; null when there is no such file."""
    creator_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created: Mapped[Created]
    modified: Mapped[Modified]
    __table_args__ = (CheckConstraint("priority BETWEEN 1 AND 10", name="priority"), Index(None, "portfolio_id"))


analysis_data_files = PlainTable(
    "analysis_data_files",
    Table.metadata,
    Column("analysis_id", ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True),
    Column("data_file_id", ForeignKey("data_files.id", ondelete="CASCADE"), primary_key=True),
)
model_data_files = PlainTable(
    "model_data_files",
    Table.metadata,
    Column("model_id", ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("data_file_id", ForeignKey("data_files.id", ondelete="CASCADE"), primary_key=True),
)
