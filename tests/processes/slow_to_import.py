"""A module whose import says that it has begun, and takes for ever."""

import os
import time
from pathlib import Path

Path(os.environ["IMPORT_BEGAN"]).write_text(str(os.getpid()))
time.sleep(3600)
