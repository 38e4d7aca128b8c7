"""A forked program sees what a plain start would have shown it."""

import json

import pytest

CALLS = {
    "as it is": "tiny describe a 'b c' ''",
    "umask, niceness and limits": "umask 027; ulimit -n 100; ulimit -S -c 0; nice -n 3 tiny describe",
    "processors": "taskset -c 0 tiny describe",
    "directory": "mkdir -p there; cd there; tiny describe",
    "more descriptors": "exec 5</dev/null 19>out.txt; tiny describe",
    "closed standard input": "tiny describe <&-",
    "closed standard error": "tiny describe 2>&-",
    "pipes on both sides": "true | tiny describe | cat",
    "environment of the call": "EXTRA='x=y z' LOSSLINE_OTHER=1 TMPDIR=/var/tmp tiny describe",
    "ignored signals": "trap '' TERM HUP PIPE; tiny describe",
    "in the background": "tiny describe < /dev/null & wait",
    "a long call": "tiny describe $(seq 3000)",
    "text that is no text": r"tiny describe $'\xff\xfe' && X=$'\xff' tiny describe",
}


@pytest.mark.parametrize("script", CALLS.values(), ids=CALLS.keys())
async def test_a_forked_program_sees_what_a_plain_start_would_show_it(place, script):
    plain = await place.run(f"{script}; tiny tells_parent", warm=False)
    warm = await place.run(f"{script}; tiny tells_parent")

    assert warm.lines[-2] == "lossline-progs" != plain.lines[-2]
    assert differences(described(plain.lines[:-2]), described(warm.lines[:-2])) == {}


def described(lines: list[str]) -> list[dict]:
    """What is seen; of a long command line, only what there is room to show."""
    seen = [json.loads(line) for line in lines if line.startswith("{") or pytest.fail(str(lines))]
    assert seen
    for facts in seen:
        facts["cmdline"] = facts["cmdline"].strip()[:1500]
        facts["environ"] = {name: value for name, value in facts["environ"].items() if not name.startswith("LOSSLINE_")}
        facts["directory"] = facts["directory"].partition("/attempt-")[2].partition("/")[2]
        facts["descriptors"] = {number: target.rpartition("/")[2] for number, target in facts["descriptors"].items()}
        facts["environ"].pop("PWD", None)
        facts["environ"].pop("OLDPWD", None)
    return seen


def differences(plain: list[dict], warm: list[dict]) -> dict[str, tuple]:
    assert len(plain) == len(warm)
    pairs = [(name, facts[name], other[name]) for facts, other in zip(plain, warm, strict=True) for name in facts]
    return {name: (expected, seen) for name, expected, seen in pairs if expected != seen}
