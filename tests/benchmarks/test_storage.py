"""That the storage benchmark measures what it says; how long anything takes is not looked at."""

from pathlib import Path

from benchmarks.storage import measure, settings_of


def test_an_archive_goes_through_every_operation_and_comes_out_whole(tmp_path: Path) -> None:
    results = measure(tmp_path, 1, settings_of({}, tmp_path))

    assert [each.operation for each in results.measures] == ["pack", "put", "get", "extract"]
    assert all(each.seconds > 0 and each.mib > 0 for each in results.measures)
    one, other = (sorted((tmp_path / name).rglob("*.bin")) for name in ("work", "extracted"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]
    assert list((tmp_path / "objects").rglob("*.tar.gz")) == [], "nothing is left in the store"
