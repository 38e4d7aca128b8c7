"""The page of the configuration explains what the code reads, and nothing else."""

import pytest

from tests.docs.options_in_code import PAGE, explained_on_page, options_of, plain, read_in_code


def test_every_variable_that_the_code_reads_is_explained():
    read = read_in_code()

    unexplained = {
        name: where for name, where in read.items() if name not in explained_on_page(PAGE.read_text("utf-8"))
    }

    assert not unexplained


def test_every_variable_that_is_explained_is_read_by_the_code():
    assert not explained_on_page(PAGE.read_text("utf-8")) - read_in_code().keys()


def test_a_variable_is_explained_once():
    cells = [line.split("|")[1].strip() for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]

    assert len(cells) == len(set(cells))


@pytest.mark.parametrize(
    "code",
    [
        'Options("SERVER", environ).integer("NEW_OPTION", 1)',
        'options.secret("NEW_OPTION")',
        'lookup("NEW_OPTION")',
        '_duration(options, "NEW_OPTION", 3)',
        'os.environ.get("OASIS_NEW_OPTION")',
        'os.environ["OASIS_WORKER_NEW_OPTION"]',
        'VARIABLE = "OASIS_SERVER_NEW_OPTION"',
    ],
)
def test_an_option_is_found_however_it_is_read(code: str):
    assert options_of(code) == {"NEW_OPTION"}


@pytest.mark.parametrize("code", ['Options("SERVER", environ)', 'raise BadSetting("words in capitals", "SERVER")'])
def test_what_is_no_option_is_not_found(code: str):
    assert options_of(code) == set()


def test_the_section_of_a_variable_does_not_matter():
    assert plain("OASIS_SERVER_DB_HOST") == plain("OASIS_DB_HOST") == "DB_HOST"
    assert plain("OASIS_WORKER_MONITOR_SLOTS") == "SLOTS"
    assert plain("LOSSLINE_HOME") == "LOSSLINE_HOME"
