import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from services.model_worker.steps import archives
from services.model_worker.steps.errors import ArchiveError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "sub" / "empty").mkdir(parents=True)
    (root / "a.txt").write_text("a")
    (root / "sub" / "b.txt").write_text("b")
    (root / "link").symlink_to("a.txt")
    return root


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def archive_with(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, linkname: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, linkname, size
    return info


def test_an_archive_holds_its_directory_at_the_root_and_comes_back_whole(tree: Path, tmp_path: Path) -> None:
    archive = archives.create(tmp_path / "a.tar.gz", tree)
    back = archives.extract(archive, tmp_path / "back")

    assert names(archive) == ["a.txt", "link", "sub", "sub/b.txt", "sub/empty"]
    assert (back / "sub" / "b.txt").read_text() == "b"
    assert (back / "sub" / "empty").is_dir()
    assert (back / "link").readlink() == Path("a.txt")


def test_a_prefix_comes_before_every_member(tree: Path, tmp_path: Path) -> None:
    archive = archives.create(tmp_path / "a.tar.gz", tree, prefix="output")

    assert all(name.startswith("output/") for name in names(archive))


def test_the_same_files_give_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    first = archives.create(tmp_path / "first.tar.gz", tree)
    second = archives.create(tmp_path / "second.tar.gz", tree)

    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    "bad",
    [
        member("../escape.txt"),
        member("/absolute.txt"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("link", tarfile.SYMTYPE, "../../outside"),
        member("hard", tarfile.LNKTYPE, "../outside"),
        member("pipe", tarfile.FIFOTYPE),
        member("disk", tarfile.BLKTYPE),
        member("null", tarfile.CHRTYPE),
    ],
    ids=lambda info: f"{info.name}->{info.linkname}",
)
def test_a_member_that_would_leave_its_place_is_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    archive = archive_with(tmp_path / "bad.tar.gz", bad)

    with pytest.raises(ArchiveError, match=r"bad\.tar\.gz"):
        archives.extract(archive, tmp_path / "target")

    assert not (tmp_path / "target").exists()
    assert not (tmp_path / "escape.txt").exists()


def test_a_member_that_would_leave_its_place_by_a_link_is_refused(tmp_path: Path) -> None:
    inside = member("sub/link", tarfile.SYMTYPE, "..")
    archive = archive_with(tmp_path / "bad.tar.gz", inside, member("sub/link/../escape.txt", size=1))

    with pytest.raises(ArchiveError, match="would land outside"):
        archives.extract(archive, tmp_path / "target")

    assert not (tmp_path / "escape.txt").exists()


def test_what_is_extracted_is_ours_and_gives_nobody_rights(tmp_path: Path) -> None:
    program, text = member("program", size=1), member("text", size=1)
    program.mode, text.mode = 0o6777, 0o022
    program.uid = program.gid = text.uid = 4711
    back = archives.extract(archive_with(tmp_path / "a.tar.gz", program, text), tmp_path / "back")

    assert [(back / name).stat().st_mode & 0o7777 for name in ("program", "text")] == [0o755, 0o600]
    assert {(back / name).stat().st_uid for name in ("program", "text")} == {os.geteuid()}


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """Some kilobytes that say that they unpack to a terabyte; the reading of its content would fail."""
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb") as stream:
        stream.write(member("big", size=2**40).tobuf(tarfile.GNU_FORMAT) + b"\0" * 100_000)
    return path


@pytest.mark.parametrize(("limit", "said"), [("1G", "OASIS_WORKER_ARCHIVE_LIMIT"), ("0", "bytes that are free")])
def test_a_bomb_is_refused_before_it_is_unpacked(
    bomb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, said: str
) -> None:
    monkeypatch.setenv("OASIS_WORKER_ARCHIVE_LIMIT", limit)

    with pytest.raises(ArchiveError, match=said):
        archives.extract(bomb, tmp_path / "target")

    assert not (tmp_path / "target").exists()


def test_the_limit_is_that_of_all_members_together(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = archive_with(tmp_path / "a.tar.gz", member("one", size=600), member("two", size=600))
    monkeypatch.setenv("OASIS_WORKER_ARCHIVE_LIMIT", "1200")
    assert archives.extract(archive, tmp_path / "fits").is_dir()
    monkeypatch.setenv("OASIS_WORKER_ARCHIVE_LIMIT", "1199")
    with pytest.raises(ArchiveError, match="1199 bytes"):
        archives.extract(archive, tmp_path / "too-big")


def test_an_archive_of_too_many_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    archive = archive_with(tmp_path / "a.tar.gz", *(member(name) for name in "abc"))
    with pytest.raises(ArchiveError, match="more than 2 members"):
        archives.extract(archive, tmp_path / "target")


def test_a_truncated_archive_is_an_error_and_leaves_no_directory(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "noise").write_bytes(os.urandom(100_000))
    whole = archives.create(tmp_path / "whole.tar.gz", tmp_path / "big")
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole.read_bytes()[:50_000])

    with pytest.raises(ArchiveError, match="cut"):
        archives.extract(cut, tmp_path / "target")

    assert not (tmp_path / "target").exists()


def test_an_archive_whose_checksum_is_wrong_is_an_error(tree: Path, tmp_path: Path) -> None:
    # The mark of the end is the last that a block of 1 MiB holds, so that the members are known without the rest.
    for path in (tree / "a.txt", tree / "sub" / "b.txt", tree / "link"):
        path.unlink()
    (tree / "big").write_bytes(bytes((1 << 20) - 4 * 512))
    archive = archives.create(tmp_path / "a.tar.gz", tree)
    content = bytearray(archive.read_bytes())
    content[-8] ^= 1  # of the CRC, which no reader of members ever comes to
    archive.write_bytes(content)

    with pytest.raises(ArchiveError, match="CRC"):
        archives.extract(archive, tmp_path / "target")

    assert not (tmp_path / "target").exists()


def test_a_file_that_is_no_archive_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.tar.gz").write_text("not an archive")

    with pytest.raises(ArchiveError):
        archives.extract(tmp_path / "text.tar.gz", tmp_path / "target")


def test_a_root_member_without_a_name_is_accepted(tmp_path: Path) -> None:
    """The archives of the Oasis platform have one."""
    archive = archive_with(tmp_path / "a.tar.gz", member("", tarfile.DIRTYPE), member("items.bin", size=3))

    back = archives.extract(archive, tmp_path / "back")

    assert (back / "items.bin").read_bytes() == b"xxx"


def test_archives_of_chunks_come_together_in_one_directory(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}" / "kat").mkdir(parents=True)
        (tmp_path / f"{number}" / "kat" / f"P{number}").write_text("")
    work = tmp_path / "work"
    work.mkdir()

    created = [archives.create(tmp_path / f"w{number}.tar.gz", tmp_path / f"{number}") for number in (1, 2)]
    archives.extract_into(created, work)

    assert sorted(path.name for path in (work / "kat").iterdir()) == ["P1", "P2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "w1.tar.gz", "w2.tar.gz", "work"]


def test_what_a_run_added_to_its_inputs_is_left_out_of_the_next_run(tree: Path, tmp_path: Path) -> None:
    inputs = archives.create(tmp_path / "inputs.tar.gz", tree)
    occurrence = tmp_path / "occurrence.bin"
    occurrence.write_bytes(b"first")
    first = archives.copy_with(inputs, tmp_path / "first.tar.gz", occurrence)
    assert first
    occurrence.write_bytes(b"second")
    second = archives.copy_with(first, tmp_path / "second.tar.gz", occurrence)
    assert second

    everything = archives.extract(second, tmp_path / "everything")
    next_run = archives.extract(second, tmp_path / "next", added_by_run=False)

    assert (everything / "occurrence.bin").read_bytes() == b"second"
    assert (everything / "sub" / "b.txt").read_text() == "b"
    assert not (next_run / "occurrence.bin").exists()


def test_an_occurrence_file_of_the_model_itself_is_kept(tree: Path, tmp_path: Path) -> None:
    (tree / "occurrence.bin").write_bytes(b"of the model")
    inputs = archives.create(tmp_path / "inputs.tar.gz", tree)
    (tmp_path / "occurrence.bin").write_bytes(b"of the run")

    assert archives.copy_with(inputs, tmp_path / "copy.tar.gz", tmp_path / "occurrence.bin") is None
    assert not (tmp_path / "copy.tar.gz").exists()
    assert (archives.extract(inputs, tmp_path / "n", added_by_run=False) / "occurrence.bin").read_bytes() == (
        b"of the model"
    )
