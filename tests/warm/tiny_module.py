"""What the tiny programs import: it is loaded once in the warm process, and in every plain start."""

import atexit
import os
import sys

READ_AT_IMPORT = os.environ.get("TINY_OPTION", "")


def handle_exit() -> None:
    if "ends_in_order" in sys.argv:
        sys.stdout.write("a handler of a module\n")


atexit.register(handle_exit)
