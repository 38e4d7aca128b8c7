"""What each step needs of its worker, so that no attempt fetches or starts what it does not use. Pure."""

from collections.abc import Mapping

_EXPOSURE = frozenset(
    {
        "location_file",
        "accounts_file",
        "reinsurance_info_file",
        "reinsurance_scope_file",
        "currency_conversion_json",
        "settings_file",
        "pre_location",
        "pre_account",
        "pre_reinsinfo",
        "pre_reinsscope",
    }
)
_INPUTS = frozenset({"params", "settings_file", "input_file", "output_location"})

NEEDS: Mapping[str, frozenset[str]] = {
    "generate-input": _EXPOSURE,
    "run-analysis": _INPUTS - {"params"},
    "prepare-input-generation-params": _EXPOSURE,
    "pre-analysis-hook": _EXPOSURE | {"params"},
    "prepare-keys-file": _EXPOSURE | {"params"},
    "collect-keys": frozenset({"params"}),
    "write-input-files": _EXPOSURE | {"params", "keys_data"},
    "prepare-losses-generation-params": frozenset({"settings_file"}),
    "prepare-losses-generation-directory": _INPUTS,
    "generate-losses-chunk": frozenset({"params", "settings_file", "run_location"}),
    "generate-losses-output": _INPUTS | {"run_location"},
}
"""Names among a grant's files, by step. The chunks' files are all fetched by the step after them."""

SERVER_NEEDS: Mapping[str, frozenset[str]] = {
    "validate-exposure": _EXPOSURE,
    "run-exposure": _EXPOSURE | {"exposure_params"},
    "transform-exposure": frozenset({"mapping_file", "transform_file", "transform_params"}),
}
"""The same of the internal worker."""

READS_ALL = frozenset({"combine-losses"})
"""Steps whose files are named by number."""


def needed(step: str, name: str) -> bool:
    """Whether the step reads the file of this name."""
    return step in READS_ALL or name in (SERVER_NEEDS if step in SERVER_NEEDS else NEEDS)[step]


WITH_DATA_FILES = frozenset(
    {
        "generate-input",
        "run-analysis",
        "prepare-input-generation-params",
        "pre-analysis-hook",
        "prepare-keys-file",
        "write-input-files",
        "prepare-losses-generation-params",
        "prepare-losses-generation-directory",
        "generate-losses-chunk",
        "generate-losses-output",
    }
)
"""Steps that place the user's data files."""

RUN_PROGRAMS = frozenset({"generate-losses-chunk", "generate-losses-output", "run-analysis"})
"""Steps whose run scripts start the programs of oasislmf. A vendor's hook may start one in others: plain."""
