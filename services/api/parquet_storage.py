"""Exposure that comes as csv and is kept as parquet, where the setting says so. Source: oasis_api.md section 1.6."""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import BinaryIO

from services.api.call import Call
from services.api.conversion import CSV, PARQUET
from services.api.errors import BadRequest, Unavailable
from services.api.exposure_to_parquet import REFUSED
from services.api.filenames import name_problem
from services.api.uploads import Upload
from shared.object_store.port import COPY_BYTES

log = logging.getLogger(__name__)

ARGUMENTS: Mapping[str, str] = {
    "location_file": "location",
    "accounts_file": "account",
    "reinsurance_info_file": "ri_info",
    "reinsurance_scope_file": "ri_scope",
}
"""What `OedExposure` calls the exposure files."""

_PATIENCE = 600
"""Seconds."""


@contextmanager
def as_kept(call: Call, upload: Upload, field: str) -> Iterator[Upload]:
    """The upload as it is to be stored, for the block. Raises BadRequest where its rows cannot be read."""
    settings = call.dependencies.settings
    if not settings.parquet_storage or upload.content_type != CSV:
        yield upload
        return
    filename = f"{upload.filename}.parquet"
    problem = name_problem(filename)
    if problem is not None:
        raise BadRequest({"file": [problem]})
    with TemporaryDirectory(prefix="lossline-exposure-") as folder:
        target = _convert(upload.stream, Path(folder), ARGUMENTS[field], settings.oed_version)
        with target.open("rb") as stream:
            yield Upload(stream, filename, PARQUET)


def _convert(stream: BinaryIO, folder: Path, argument: str, version: str | None) -> Path:
    source, target = folder / "exposure.csv", folder / "exposure.parquet"
    stream.seek(0)
    with source.open("wb") as file:
        copyfileobj(stream, file, COPY_BYTES)
    command = [sys.executable, "-m", "services.api.exposure_to_parquet", argument, str(source), str(target)]
    try:
        done = subprocess.run(
            [*command, *filter(None, (version,))], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable from error
    if done.returncode == REFUSED:
        raise _refused(json.loads(done.stdout))
    if done.returncode:
        log.error("Exposure was not converted", extra={"status": done.returncode, "reason": done.stderr[-2000:]})
        raise Unavailable
    return target


def _refused(reason: Mapping[str, str]) -> BadRequest:
    texts = {"error": "Failed to validate exposure data", **reason}
    return BadRequest({name: [text] for name, text in texts.items()})
