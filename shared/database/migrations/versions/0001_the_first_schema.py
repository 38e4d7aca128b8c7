"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "canaries",
        sa.Column("reaper_id", sa.String(length=64), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("reaper_id", name=op.f("pk_canaries")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exchange", sa.String(length=255), server_default="", nullable=False),
        sa.Column("routing_key", sa.String(length=255), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("mandatory", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("copies", sa.Integer(), server_default="1", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index("ix_outbox_unsent", "outbox", ["id"], unique=False, postgresql_where=sa.text("sent_at IS NULL"))
    op.create_table(
        "revoked_tokens",
        sa.Column("jti", sa.String(length=64), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("jti", name=op.f("pk_revoked_tokens")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("username", sa.String(length=150), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("is_active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("is_staff", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_superuser", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
    )
    op.create_table(
        "workers",
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("free_slots", sa.Integer(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("beats", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("died_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("died_of", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("worker_id", name=op.f("pk_workers")),
    )
    op.create_table(
        "files",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=1024), nullable=False),
        sa.Column("filename", sa.String(length=255), nullable=False),
        sa.Column("content_type", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("creator_id", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["creator_id"], ["users.id"], name=op.f("fk_files_creator_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("key", name=op.f("uq_files_key")),
    )
    op.create_index(
        op.f("ix_files_released_at"),
        "files",
        ["released_at"],
        unique=False,
        postgresql_where=sa.text("released_at IS NOT NULL"),
    )
    op.create_table(
        "data_files",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("file_description", sa.String(length=255), nullable=False),
        sa.Column("file_category", sa.String(length=255), nullable=True),
        sa.Column("file_id", sa.BigInteger(), nullable=True),
        sa.Column("creator_id", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_data_files_creator_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_data_files_file_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_files")),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("supplier_id", sa.String(length=255), nullable=False),
        sa.Column("model_id", sa.String(length=255), nullable=False),
        sa.Column("version_id", sa.String(length=255), nullable=False),
        sa.Column("run_mode", sa.String(length=8), nullable=True),
        sa.Column("settings_file_id", sa.BigInteger(), nullable=True),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("ver_ktools", sa.String(length=255), nullable=True),
        sa.Column("ver_oasislmf", sa.String(length=255), nullable=True),
        sa.Column("ver_platform", sa.String(length=255), nullable=True),
        sa.Column("ver_ods", sa.String(length=255), nullable=True),
        sa.Column("ver_oed", sa.String(length=255), nullable=True),
        sa.Column("oasislmf_config", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("creator_id", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(["creator_id"], ["users.id"], name=op.f("fk_models_creator_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["settings_file_id"], ["files.id"], name=op.f("fk_models_settings_file_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint(
            "supplier_id", "model_id", "version_id", name=op.f("uq_models_supplier_id_model_id_version_id")
        ),
    )
    op.create_table(
        "portfolios",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("location_file_id", sa.BigInteger(), nullable=True),
        sa.Column("accounts_file_id", sa.BigInteger(), nullable=True),
        sa.Column("reinsurance_info_file_id", sa.BigInteger(), nullable=True),
        sa.Column("reinsurance_scope_file_id", sa.BigInteger(), nullable=True),
        sa.Column("currency_conversion_json_id", sa.BigInteger(), nullable=True),
        sa.Column("reporting_currency", sa.String(length=3), server_default="", nullable=False),
        sa.Column("exposure_status", sa.String(length=32), server_default="NONE", nullable=False),
        sa.Column("validation_status", sa.String(length=32), server_default="NONE", nullable=False),
        sa.Column("exposure_transform_status", sa.String(length=32), server_default="NONE", nullable=False),
        sa.Column("creator_id", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["accounts_file_id"], ["files.id"], name=op.f("fk_portfolios_accounts_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["creator_id"], ["users.id"], name=op.f("fk_portfolios_creator_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["currency_conversion_json_id"],
            ["files.id"],
            name=op.f("fk_portfolios_currency_conversion_json_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["location_file_id"], ["files.id"], name=op.f("fk_portfolios_location_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["reinsurance_info_file_id"],
            ["files.id"],
            name=op.f("fk_portfolios_reinsurance_info_file_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["reinsurance_scope_file_id"],
            ["files.id"],
            name=op.f("fk_portfolios_reinsurance_scope_file_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portfolios")),
    )
    op.create_table(
        "analyses",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=32), server_default="NEW", nullable=False),
        sa.Column("current_run_id", sa.BigInteger(), nullable=True),
        sa.Column("run_mode", sa.String(length=8), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="4", nullable=False),
        sa.Column("task_started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("task_finished", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lookup_chunks", sa.Integer(), nullable=True),
        sa.Column("analysis_chunks", sa.Integer(), nullable=True),
        sa.Column("settings_file_id", sa.BigInteger(), nullable=True),
        sa.Column("input_file_id", sa.BigInteger(), nullable=True),
        sa.Column("lookup_errors_file_id", sa.BigInteger(), nullable=True),
        sa.Column("lookup_success_file_id", sa.BigInteger(), nullable=True),
        sa.Column("lookup_validation_file_id", sa.BigInteger(), nullable=True),
        sa.Column("summary_levels_file_id", sa.BigInteger(), nullable=True),
        sa.Column("output_file_id", sa.BigInteger(), nullable=True),
        sa.Column("run_log_file_id", sa.BigInteger(), nullable=True),
        sa.Column("inputs_traceback_run_id", sa.BigInteger(), nullable=True),
        sa.Column("losses_traceback_run_id", sa.BigInteger(), nullable=True),
        sa.Column("creator_id", sa.BigInteger(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("modified", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("priority BETWEEN 1 AND 10", name=op.f("ck_analyses_priority")),
        sa.ForeignKeyConstraint(["creator_id"], ["users.id"], name=op.f("fk_analyses_creator_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["current_run_id"], ["runs.id"], name="fk_analyses_current_run_id", ondelete="SET NULL", use_alter=True
        ),
        sa.ForeignKeyConstraint(
            ["input_file_id"], ["files.id"], name=op.f("fk_analyses_input_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["lookup_errors_file_id"], ["files.id"], name=op.f("fk_analyses_lookup_errors_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["lookup_success_file_id"],
            ["files.id"],
            name=op.f("fk_analyses_lookup_success_file_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["lookup_validation_file_id"],
            ["files.id"],
            name=op.f("fk_analyses_lookup_validation_file_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_analyses_model_id")),
        sa.ForeignKeyConstraint(
            ["output_file_id"], ["files.id"], name=op.f("fk_analyses_output_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["portfolio_id"], ["portfolios.id"], name=op.f("fk_analyses_portfolio_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["run_log_file_id"], ["files.id"], name=op.f("fk_analyses_run_log_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["settings_file_id"], ["files.id"], name=op.f("fk_analyses_settings_file_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["summary_levels_file_id"],
            ["files.id"],
            name=op.f("fk_analyses_summary_levels_file_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analyses")),
    )
    op.create_index(op.f("ix_analyses_portfolio_id"), "analyses", ["portfolio_id"], unique=False)
    op.create_table(
        "model_chunking",
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("lookup_strategy", sa.String(length=32), server_default="FIXED_CHUNKS", nullable=False),
        sa.Column("loss_strategy", sa.String(length=32), server_default="FIXED_CHUNKS", nullable=False),
        sa.Column("dynamic_locations_per_lookup", sa.Integer(), server_default="10000", nullable=False),
        sa.Column("dynamic_events_per_analysis", sa.Integer(), server_default="1", nullable=False),
        sa.Column("dynamic_chunks_max", sa.Integer(), server_default="200", nullable=False),
        sa.Column("fixed_analysis_chunks", sa.Integer(), server_default="1", nullable=True),
        sa.Column("fixed_lookup_chunks", sa.Integer(), server_default="1", nullable=True),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_model_chunking_model_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_model_chunking")),
    )
    op.create_table(
        "model_data_files",
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("data_file_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["data_file_id"], ["data_files.id"], name=op.f("fk_model_data_files_data_file_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_model_data_files_model_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("model_id", "data_file_id", name=op.f("pk_model_data_files")),
    )
    op.create_table(
        "model_scaling",
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("scaling_strategy", sa.String(length=32), server_default="FIXED_WORKERS", nullable=False),
        sa.Column("worker_count_fixed", sa.Integer(), server_default="1", nullable=False),
        sa.Column("worker_count_max", sa.Integer(), server_default="10", nullable=False),
        sa.Column("worker_count_min", sa.Integer(), server_default="0", nullable=False),
        sa.Column("chunks_per_worker", sa.Integer(), server_default="10", nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name=op.f("fk_model_scaling_model_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_model_scaling")),
    )
    op.create_table(
        "analysis_chunking",
        sa.Column("analysis_id", sa.BigInteger(), nullable=False),
        sa.Column("lookup_strategy", sa.String(length=32), server_default="FIXED_CHUNKS", nullable=False),
        sa.Column("loss_strategy", sa.String(length=32), server_default="FIXED_CHUNKS", nullable=False),
        sa.Column("dynamic_locations_per_lookup", sa.Integer(), server_default="10000", nullable=False),
        sa.Column("dynamic_events_per_analysis", sa.Integer(), server_default="1", nullable=False),
        sa.Column("dynamic_chunks_max", sa.Integer(), server_default="200", nullable=False),
        sa.Column("fixed_analysis_chunks", sa.Integer(), server_default="1", nullable=True),
        sa.Column("fixed_lookup_chunks", sa.Integer(), server_default="1", nullable=True),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analyses.id"], name=op.f("fk_analysis_chunking_analysis_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("analysis_id", name=op.f("pk_analysis_chunking")),
    )
    op.create_table(
        "analysis_data_files",
        sa.Column("analysis_id", sa.BigInteger(), nullable=False),
        sa.Column("data_file_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["analyses.id"], name=op.f("fk_analysis_data_files_analysis_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["data_file_id"], ["data_files.id"], name=op.f("fk_analysis_data_files_data_file_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("analysis_id", "data_file_id", name=op.f("pk_analysis_data_files")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("run_uuid", sa.String(length=32), nullable=False),
        sa.Column("analysis_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("run_mode", sa.String(length=8), server_default="V2", nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("model_queue", sa.String(length=255), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("requested_by_id", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("inputs", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("lookup_chunks", sa.Integer(), nullable=True),
        sa.Column("loss_chunks", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["analysis_id"], ["analyses.id"], name=op.f("fk_runs_analysis_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["requested_by_id"], ["users.id"], name=op.f("fk_runs_requested_by_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("run_uuid", name=op.f("uq_runs_run_uuid")),
    )
    op.create_index("ix_runs_alive", "runs", ["state"], unique=False, postgresql_where=sa.text("ended_at IS NULL"))
    op.create_index(op.f("ix_runs_analysis_id"), "runs", ["analysis_id"], unique=False)
    op.create_table(
        "stages",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("step", sa.String(length=64), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("queue", sa.String(length=255), nullable=False),
        sa.Column("parallel", sa.Boolean(), nullable=False),
        sa.Column("optional", sa.Boolean(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("queued", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started", sa.Integer(), server_default="0", nullable=False),
        sa.Column("completed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancelled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("artifacts", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_stages_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "position", name=op.f("pk_stages")),
    )
    op.create_table(
        "sub_tasks",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("task_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("queue", sa.String(length=255), nullable=False),
        sa.Column("weight", sa.String(length=8), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempt_id", sa.Uuid(), nullable=True),
        sa.Column("pending_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("queue_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("retry_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("artifacts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("events_total", sa.Integer(), server_default="0", nullable=False),
        sa.Column("events_complete", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_sub_tasks_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sub_tasks")),
        sa.UniqueConstraint("run_id", "stage", "chunk", name=op.f("uq_sub_tasks_run_id_stage_chunk")),
        sa.UniqueConstraint("task_id", name=op.f("uq_sub_tasks_task_id")),
    )
    op.create_index(
        "ix_sub_tasks_claims",
        "sub_tasks",
        ["queue", sa.literal_column("priority DESC"), "requested_at", "run_id", sa.literal_column("stage DESC"), "id"],
        unique=False,
        postgresql_where=sa.text("state = 'QUEUED'"),
    )
    op.create_index(
        "ix_sub_tasks_waiting",
        "sub_tasks",
        ["run_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('PENDING', 'QUEUED')"),
    )
    op.create_table(
        "attempts",
        sa.Column("attempt_id", sa.Uuid(), nullable=False),
        sa.Column("claim_id", sa.Uuid(), nullable=True),
        sa.Column("sub_task_id", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("renewals", sa.Integer(), server_default="0", nullable=False),
        sa.Column("slot", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.String(length=32), nullable=True),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("exit_status", sa.Integer(), nullable=True),
        sa.Column("signal", sa.Integer(), nullable=True),
        sa.Column("peak_memory", sa.BigInteger(), nullable=True),
        sa.Column("log_key", sa.String(length=1024), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_attempts_run_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["sub_task_id"], ["sub_tasks.id"], name=op.f("fk_attempts_sub_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("claim_id", name=op.f("uq_attempts_claim_id")),
    )
    op.create_index(
        "ix_attempts_live",
        "attempts",
        ["worker_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('granted', 'running')"),
    )
    op.create_index(op.f("ix_attempts_sub_task_id"), "attempts", ["sub_task_id"], unique=False)
    op.create_foreign_key(
        "fk_analyses_current_run_id", "analyses", "runs", ["current_run_id"], ["id"], ondelete="SET NULL"
    )


def downgrade() -> None:
    op.drop_constraint("fk_analyses_current_run_id", "analyses", type_="foreignkey")
    op.drop_index(op.f("ix_attempts_sub_task_id"), table_name="attempts")
    op.drop_index(
        "ix_attempts_live", table_name="attempts", postgresql_where=sa.text("state IN ('granted', 'running')")
    )
    op.drop_table("attempts")
    op.drop_index(
        "ix_sub_tasks_waiting", table_name="sub_tasks", postgresql_where=sa.text("state IN ('PENDING', 'QUEUED')")
    )
    op.drop_index("ix_sub_tasks_claims", table_name="sub_tasks", postgresql_where=sa.text("state = 'QUEUED'"))
    op.drop_table("sub_tasks")
    op.drop_table("stages")
    op.drop_index(op.f("ix_runs_analysis_id"), table_name="runs")
    op.drop_index("ix_runs_alive", table_name="runs", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_table("runs")
    op.drop_table("analysis_data_files")
    op.drop_table("analysis_chunking")
    op.drop_table("model_scaling")
    op.drop_table("model_data_files")
    op.drop_table("model_chunking")
    op.drop_index(op.f("ix_analyses_portfolio_id"), table_name="analyses")
    op.drop_table("analyses")
    op.drop_table("portfolios")
    op.drop_table("models")
    op.drop_table("data_files")
    op.drop_index(op.f("ix_files_released_at"), table_name="files", postgresql_where=sa.text("released_at IS NOT NULL"))
    op.drop_table("files")
    op.drop_table("workers")
    op.drop_table("users")
    op.drop_table("revoked_tokens")
    op.drop_index("ix_outbox_unsent", table_name="outbox", postgresql_where=sa.text("sent_at IS NULL"))
    op.drop_table("outbox")
    op.drop_table("canaries")
