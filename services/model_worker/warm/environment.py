"""Which variables must be those of the warm process for a fork of it to be the program. Pure."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

ADDRESS_VARIABLE = "LOSSLINE_WARM"
"""Name of the attempt's program server, for clients."""
CLIENTS_VARIABLE = "LOSSLINE_WARM_CLIENTS"
"""Their directory, for steps."""

LOAD = "services.model_worker.warm.loading:load"
"""What the fork server calls to become the warm process."""

PREFIXES = (
    "PYTHON", "NUMBA_", "OMP_", "GOMP_", "KMP_", "OPENBLAS_", "MKL_", "BLIS_", "ARROW_", "JE_", "MIMALLOC_", "MALLOC_",
    "NPY_", "LD_", "GLIBC_", "LC_",
)  # fmt: skip
"""Read by interpreters and libraries when they are loaded."""
NAMES = frozenset({"LANG", "LANGUAGE", "TZ"})

_OUR_PREFIX = "LOSSLINE_"
RUN_TIME_NAMES = frozenset({"PATH", "PWD", "OLDPWD", "SHLVL", "_", "HOME", "TMPDIR", "TMP", "TEMP"})
"""Read again at each use, or set by shells for themselves; that something looks at them at import means nothing."""

CHOSEN = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""What the warm process is started with so that no library starts a thread. Their values change no result, so a caller
that has none of them is served; one that has chosen another value is not."""


def differing(caller: Mapping[str, str], reference: Mapping[str, str], read_at_import: AbstractSet[str]) -> list[str]:
    """Names of variables that differ and that act at import; empty if the warm process may serve this caller.

    `reference` is the environment that the warm process was started with, without `CHOSEN`; `read_at_import` are the
    variables that its imports have looked at.
    """
    names = (name for name in {*caller, *reference} if acts_at_import(name, read_at_import))
    return sorted(name for name in names if not _same(name, caller.get(name), reference.get(name)))


def acts_at_import(name: str, read_at_import: AbstractSet[str]) -> bool:
    """Whether a program that starts may become another by this variable."""
    if name in RUN_TIME_NAMES or name.startswith(_OUR_PREFIX):
        return False
    return name.startswith(PREFIXES) or name in NAMES or name in read_at_import


def without_chosen(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without what the warm process was given beyond it."""
    return {name: value for name, value in environ.items() if CHOSEN.get(name) != value}


def path_with(clients: str, scripts: str, path: str, separator: str = ":") -> str:
    """A search path with the clients just before the installation's programs: what went before these, still does.

    >>> path_with("/warm", "/venv/bin", "/vendor:/venv/bin:/usr/bin")
    '/vendor:/warm:/venv/bin:/usr/bin'
    """
    parts = path.split(separator)
    if scripts not in parts:
        return path
    place = parts.index(scripts)
    return separator.join([*parts[:place], clients, *parts[place:]])


def _same(name: str, caller: str | None, reference: str | None) -> bool:
    return caller == reference or (name in CHOSEN and caller == CHOSEN[name] and reference is None)
