"""The files that runs leave: oasis_api.md sections 1.5 and 8.1."""

from collections.abc import Callable
from os import urandom
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.api.dependencies import Dependencies
from shared.database.resources import File
from tests.api.api_client import Api
from tests.api.executed import Execution, record_file, tar_gz

READ_ONLY = [
    "input_file",
    "lookup_errors_file",
    "lookup_success_file",
    "lookup_validation_file",
    "summary_levels_file",
]
DELETABLE = ["output_file", "run_log_file"]
LINKS = {*READ_ONLY, *DELETABLE, "settings_file", "input_generation_traceback_file", "run_traceback_file"}


@pytest.mark.parametrize("field", [*READ_ONLY, *DELETABLE])
def test_a_file_of_a_run_is_sent(api: Api, session: Session, dependencies: Dependencies, field: str) -> None:
    analysis = api.analysis()
    url = f"analyses/{analysis['id']}/"
    assert api.get(f"{url}{field}/").status_code == 404

    file = record_file(session, dependencies.store, analysis, field, b"bytes", "a.csv", "text/csv")

    sent = api.get(f"{url}{field}/")
    assert sent.data == b"bytes"
    assert sent.headers["Content-Type"] == "text/csv"
    assert sent.headers["Content-Disposition"] == 'attachment; filename="a.csv"'
    body: Any = api.get(url).json
    assert body[field] == f"http://localhost/v2/{url}{field}/"
    links: Any = api.get(f"{url}storage_links/").json
    assert set(links) == LINKS
    assert links[field] == "a.csv"
    assert api.post(f"{url}{field}/").status_code == 405

    deleted = api.delete(f"{url}{field}/")
    if field in READ_ONLY:
        assert deleted.status_code == 405
    else:
        assert (deleted.status_code, deleted.data) == (200, b"")
        assert api.get(f"{url}{field}/").status_code == api.delete(f"{url}{field}/").status_code == 404
        session.expire_all()
        assert session.get_one(File, file.id).released_at is not None


def test_archives_are_listed_and_read_without_unpacking(api: Api, session: Session, dependencies: Dependencies) -> None:
    analysis = api.analysis()
    url = f"analyses/{analysis['id']}/output_file_tar"
    assert api.get(f"{url}_list/").status_code == 404
    content = tar_gz(output__gul_dot_csv=b"a,b\n", output__run_dot_json=b"{}", output__x_dot_parquet=b"P", README=b"r")
    record_file(session, dependencies.store, analysis, "output_file", content, "o.tar.gz", "application/gzip")

    assert api.get(f"{url}_list/").json == ["output/gul.csv", "output/run.json", "output/x.parquet", "README"]
    types = {
        "output/gul.csv": (b"a,b\n", "text/csv"),
        "output/run.json": (b"{}", "application/json"),
        "output/x.parquet": (b"P", "application/octet-stream"),
        "README": (b"r", "text/html; charset=utf-8"),
    }
    for name, (data, content_type) in types.items():
        sent = api.get(f"{url}_extract/?filename={name}")
        assert (sent.data, sent.headers["Content-Type"]) == (data, content_type)
    for query in ("", "?filename=", "?filename=gul.csv", "?filename=output"):
        answer = api.get(f"{url}_extract/{query}")
        assert (answer.status_code, answer.json) == (400, ["Invalid filename."])


@pytest.mark.parametrize("content", [b"no archive", tar_gz(a=urandom(5000))[:2000]], ids=["rubbish", "cut"])
def test_a_broken_archive_is_a_refusal(api: Api, session: Session, dependencies: Dependencies, content: bytes) -> None:
    analysis = api.analysis()
    record_file(session, dependencies.store, analysis, "output_file", content, "o.tar.gz", "application/gzip")

    answer = api.get(f"analyses/{analysis['id']}/output_file_tar_list/")

    assert answer.status_code == 400
    assert "o.tar.gz" in answer.text


def test_a_file_whose_object_is_gone_is_404(api: Api, session: Session, dependencies: Dependencies) -> None:
    analysis = api.analysis()
    file = record_file(session, dependencies.store, analysis, "output_file", b"x", "o.tar.gz", "application/gzip")
    dependencies.store.delete(file.key)

    assert api.get(f"analyses/{analysis['id']}/output_file/").json == {"detail": "Not found."}


def _inputs(api: Api, session: Session, dependencies: Dependencies) -> Execution:
    analysis = api.analysis()
    api.post(f"analyses/{analysis['id']}/generate_inputs/")
    return Execution(session, dependencies.store, analysis)


def test_the_traceback_of_a_good_run_is_its_logs_in_order(
    api: Api, session: Session, dependencies: Dependencies
) -> None:
    execution = _inputs(api, session, dependencies)
    execution.attempt("prepare-keys-file-0", "completed", "second\n")
    execution.attempt("pre-analysis-hook", "failed", "an old try\n")
    execution.attempt("pre-analysis-hook", "completed", "first\n")
    lost = execution.attempt("collect-keys", "completed", "lost\n")
    dependencies.store.delete(str(lost))
    execution.attempt("write-input-files", "completed")
    execution.analysis(status="READY", inputs_traceback_run_id=execution.run.id)
    execution.end("COMPLETED")

    sent = api.get(f"analyses/{execution.analysis_id}/input_generation_traceback_file/")

    assert sent.text == (
        "\n=== pre-analysis-hook ===\nfirst\n\n=== prepare-keys-file-0 ===\nsecond\n\n=== collect-keys ===\n"
    )
    assert sent.headers["Content-Type"] == "text/plain"
    name = f"analysis_{execution.analysis_id}_generation_traceback.txt"
    assert sent.headers["Content-Disposition"] == f'attachment; filename="{name}"'


def test_the_traceback_of_a_failed_run_begins_with_what_went_wrong(
    api: Api, session: Session, dependencies: Dependencies
) -> None:
    execution = _inputs(api, session, dependencies)
    execution.attempt("pre-analysis-hook", "failed", "log one\n", message="first try", cause="model error")
    execution.attempt("pre-analysis-hook", "failed", "log two\n", message="last try", cause="model error")
    execution.move("pre-analysis-hook", "ERROR")
    execution.analysis(status="INPUTS_GENERATION_ERROR", inputs_traceback_run_id=execution.run.id)
    execution.end("FAILING")

    sent = api.get(f"analyses/{execution.analysis_id}/input_generation_traceback_file/")

    assert sent.text == "\n=== Trace Back ===\nlast try\n\n=== pre-analysis-hook ===\nlog two\n"
    assert f"analysis_{execution.analysis_id}_worker_traceback.txt" in sent.headers["Content-Disposition"]


def test_a_run_that_could_not_be_planned_says_so(api: Api, session: Session, dependencies: Dependencies) -> None:
    execution = _inputs(api, session, dependencies)
    execution.analysis(status="INPUTS_GENERATION_ERROR", inputs_traceback_run_id=execution.run.id)
    execution.end("FAILED", error="There is no chunk.")

    url = f"analyses/{execution.analysis_id}/input_generation_traceback_file/"
    assert api.get(url).text == "\n=== Trace Back ===\nThere is no chunk.\n"


def test_a_traceback_is_there_until_it_is_deleted(api: Api, session: Session, dependencies: Dependencies) -> None:
    execution = _inputs(api, session, dependencies)
    url = f"analyses/{execution.analysis_id}/"
    assert api.get(f"{url}input_generation_traceback_file/").status_code == 404
    assert api.get(f"{url}run_traceback_file/").status_code == 404

    api.post(f"{url}cancel/")
    body: Any = api.get(url).json
    assert body["input_generation_traceback_file"] == f"http://localhost/v2/{url}input_generation_traceback_file/"
    assert body["run_traceback_file"] is None
    assert api.get(f"{url}input_generation_traceback_file/").status_code == 200

    assert api.delete(f"{url}input_generation_traceback_file/").status_code == 200
    assert api.get(f"{url}input_generation_traceback_file/").status_code == 404
    assert (api.get(url).json or {})["input_generation_traceback_file"] is None


def test_system_logs_may_be_for_staff_only(
    api: Api, user_api: Api, api_with: Callable[..., Api], session: Session
) -> None:
    analysis = api.analysis(model=api.model(run_mode="V1"))
    restricted = api_with(restrict_system_logs=True)
    restricted.headers = user_api.headers

    for field in ("input_generation_traceback_file", "run_traceback_file", "run_log_file"):
        answer = restricted.get(f"/v1/analyses/{analysis['id']}/{field}/")
        assert answer.status_code == 403
        assert answer.json == {"detail": "Only accounts with staff access are alowed to view system logs."}
        assert restricted.get(f"analyses/{analysis['id']}/{field}/").status_code == 404
    assert session.scalars(select(File)).all() != []
