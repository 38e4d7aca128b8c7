"""Modules that oasislmf imports at their first use, in every run: a step that is forked after them need not.

Importing this imports them. What oasislmf reports of processor and memory use has charts; to import what draws them
takes 0.4 s of processor time, in the step that makes the outputs, and 27 MiB, once in the fork server.
"""

import importlib
from contextlib import suppress

with suppress(ImportError):  # an extra of oasislmf, which draws no charts without it
    importlib.import_module("matplotlib.pyplot")
