"""A sample that is run once for what it leaves on the machine."""

import os
from pathlib import Path

from services.model_worker.priming import prime


async def test_a_sample_that_cannot_run_is_told_by_the_status_and_says_why(tmp_path: Path, capfdbinary) -> None:
    folder, model = tmp_path / "folder", tmp_path / "model"
    folder.mkdir()
    model.mkdir()
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}

    status = await prime(model, folder, environ)

    assert status != 0
    assert str(model / "oasislmf.json").encode() in capfdbinary.readouterr().out
