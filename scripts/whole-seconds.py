"""Cut the times of modules to whole seconds: whole-seconds.py DIRECTORY. For images.

Compiled kernels are kept for a module's time and size. An image that is pushed keeps times in whole seconds only, and
would compile everything again.
"""

import os
import sys
from pathlib import Path

for path in Path(sys.argv[1]).rglob("*.py"):
    times = path.stat()
    os.utime(path, (int(times.st_atime), int(times.st_mtime)))
