"""Lines, messages, and what the supervisor's side imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.model_worker.processes import ChildEnd, ChildSpec
from services.model_worker.processes.contract import (
    Failed,
    Ready,
    Refused,
    Started,
    decode_message,
    decode_spec,
    encode_message,
    encode_spec,
)
from services.model_worker.processes.lines import LineCutter


@pytest.mark.parametrize(
    ("fed", "lines"),
    [
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a", b"b\nc"], [b"ab", b"c"]),
        ([b"a\r", b"\nb"], [b"a", b"b"]),
        ([b"\n\n"], [b"", b""]),
        ([b"123456789\n"], [b"1234", b"5678", b"9"]),
        ([b"12345", b"6789"], [b"1234", b"5678", b"9"]),
        ([b"1234", b"\n"], [b"1234"]),
        ([], []),
    ],
)
def test_a_stream_is_cut_into_lines_and_long_lines_into_pieces(fed, lines):
    cutter = LineCutter(longest=4)

    cut = [line for data in fed for line in cutter.feed(data)] + list(cutter.finish())

    assert cut == lines


@pytest.mark.parametrize(
    "message",
    [Started(1, 2), Refused("no\nmore"), Ready(3, 0.5), Failed("é"), ChildEnd(None, 9, 10, 2, lost_guardian=True)],
)
def test_a_message_survives_the_journey_as_one_line(message):
    line = encode_message(message)

    assert decode_message(line) == message
    assert line.index(b"\n") == len(line) - 1


def test_a_specification_survives_the_journey():
    spec = ChildSpec(Path("/a/spec.json"), Path("/a"), {"X": "é"}, umask=0o22, nice=1)

    assert decode_spec(encode_spec(spec)) == spec


@pytest.mark.parametrize("options", [{"attempt": ""}, {"attempt": "x" * 65}, {"entry": "module"}])
def test_a_specification_that_cannot_work_is_refused(options):
    with pytest.raises(ValueError, match=r"An (attempt|entry)"):
        ChildSpec(Path("/a/spec.json"), Path("/a"), {}, **options)


def test_the_supervisor_s_side_imports_neither_model_code_nor_a_database():
    program = (
        "import sys, services.model_worker.__main__, services.model_worker.processes.step_codec\n"
        "heavy = {'numpy', 'pandas', 'oasislmf', 'numba', 'pyarrow', 'scipy', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )

    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)

    assert (done.returncode, done.stderr) == (0, b"")


def test_what_reads_and_writes_contexts_is_compiled_before_the_fork_server_forks():
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from services.model_worker.processes.step_codec import *\n"
        "from services.model_worker.step_contract import InputFile, ModelPlace, StepContext\n"
        "here = Path('/here')\n"
        "place, file = ModelPlace('s', 'm', '1', here, here, here), InputFile(here, 'a.csv')\n"
        "files = {'files': {'a': file}, 'chunk_files': ({'a': file},), 'data_files': (file,)}\n"
        "context = StepContext('step', 'step-1', 1, 'run', here, place, chunk=1, chunks=2, trees=here, **files)\n"
        "report = StepReport('failed', {'a': here}, StepFailure('Error', 'why', 'where'))\n"
        "sys.addaudithook(lambda event, _: sys.exit('compiled') if event == 'compile' else None)\n"
        "assert decode_context(encode_context(context)) == context\n"
        "assert decode_report(encode_report(report)) == report\n"
    )

    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)

    assert (done.returncode, done.stderr) == (0, b"")
