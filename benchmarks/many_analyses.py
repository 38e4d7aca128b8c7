"""Many analyses with completed runs, inserted by the database itself: what a platform has after years of use."""

from sqlalchemy import Engine, text

from shared.core.plan import plan_run
from shared.core.states import RunKind

SUB_TASKS = 40
"""Of each run: one lookup chunk, the serial stages, and loss chunks for the rest."""

_QUEUE = "Lossline-Noop-1-v2"
_STAGES = plan_run(RunKind.GENERATE_AND_RUN, _QUEUE, 1, SUB_TASKS - 12)

RUNNING_EVERY = 500
"""One analysis of so many has a run under way, half of whose chunks wait."""

_INSERTS = (
    "INSERT INTO portfolios (name) SELECT 'portfolio ' || n FROM generate_series(0, :count / 10) n",
    """
    INSERT INTO analyses (name, portfolio_id, status, run_mode, created, modified)
    SELECT 'analysis ' || n, (SELECT min(id) FROM portfolios) + n / 10,
           CASE WHEN n % :every = 1 THEN 'RUN_STARTED' ELSE 'RUN_COMPLETED' END, 'V2',
           now() - n * interval '1 minute', now() - n * interval '1 minute'
    FROM generate_series(1, :count) n
    """,
    """
    INSERT INTO runs (run_uuid, analysis_id, kind, state, priority, model_queue, requested_at, ended_at)
    SELECT md5(id::text), id, 'generate_and_run', CASE status WHEN 'RUN_STARTED' THEN 'ACTIVE' ELSE 'COMPLETED' END,
           4, CAST(:queue AS text), created, CASE status WHEN 'RUN_STARTED' THEN NULL ELSE modified END
    FROM analyses
    """,
    "UPDATE analyses SET current_run_id = runs.id FROM runs WHERE runs.analysis_id = analyses.id",
    """
    INSERT INTO stages (run_id, position, step, phase, queue, parallel, optional, size, pending, queued, completed)
    SELECT runs.id, stage.*, 0,
           CASE WHEN state = 'ACTIVE' AND stage.parallel THEN stage.size / 2 ELSE 0 END,
           CASE WHEN state = 'ACTIVE' AND stage.parallel THEN stage.size - stage.size / 2 ELSE stage.size END
    FROM runs, unnest(CAST(:positions AS int[]), CAST(:steps AS text[]), CAST(:phases AS text[]),
                      CAST(:queues AS text[]), CAST(:parallels AS bool[]), CAST(:optionals AS bool[]),
                      CAST(:sizes AS int[])) AS stage (position, step, phase, queue, parallel, optional, size)
    """,
    """
    INSERT INTO sub_tasks (run_id, stage, chunk, slug, name, queue, weight, priority, requested_at, state, fence,
                           attempt_id, queue_time, start_time, end_time, events_total, events_complete)
    SELECT run_id, position, chunk, step || CASE WHEN parallel THEN '-' || chunk ELSE '' END, step, queue, 'one', 4,
           requested_at, CASE WHEN waits THEN 'QUEUED' ELSE 'COMPLETED' END, 1,
           CASE WHEN waits THEN NULL ELSE gen_random_uuid() END, requested_at,
           CASE WHEN waits THEN NULL ELSE requested_at END, CASE WHEN waits THEN NULL ELSE requested_at END,
           CASE WHEN parallel AND phase = 'losses' THEN 1000 ELSE 0 END, 0
    FROM (
        SELECT stages.*, chunk, requested_at, chunk < queued AS waits
        FROM stages JOIN runs ON runs.id = run_id CROSS JOIN LATERAL generate_series(0, size - 1) chunk
        ORDER BY run_id, position, chunk
    ) planned
    """,
    """
    INSERT INTO attempts (attempt_id, sub_task_id, run_id, fence, worker_id, state, lease_until, slot, started_at,
                          finished_at, ended_at)
    SELECT attempt_id, id, run_id, 1, 'worker', 'completed', end_time, 0, start_time, end_time, end_time
    FROM sub_tasks WHERE attempt_id IS NOT NULL
    """,
)


def fill(engine: Engine, count: int) -> list[int]:
    """So many analyses in a database that has none, each with a run of `SUB_TASKS`. Returns their ids, in order."""
    values = {
        "count": count,
        "every": RUNNING_EVERY,
        "queue": _QUEUE,
        "positions": [each.position for each in _STAGES],
        "steps": [each.step for each in _STAGES],
        "phases": [str(each.phase) for each in _STAGES],
        "queues": [each.queue for each in _STAGES],
        "parallels": [each.parallel for each in _STAGES],
        "optionals": [each.optional for each in _STAGES],
        "sizes": [each.size for each in _STAGES],
    }
    with engine.begin() as connection:
        for statement in _INSERTS:
            connection.execute(text(statement), {name: values[name] for name in values if f":{name}" in statement})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT id FROM analyses ORDER BY id")))
