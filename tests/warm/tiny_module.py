"""What the tiny programs import: it is loaded once in the warm process, and in every plain start."""

import os

READ_AT_IMPORT = os.environ.get("TINY_OPTION", "")
