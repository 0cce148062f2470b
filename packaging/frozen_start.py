"""Where the frozen applet begins: PyInstaller runs this file as `__main__`."""

import os
import sys

from tray_app.__main__ import main

# PyInstaller's loader points LD_LIBRARY_PATH at the libraries that we bring. The linker has read it by now; the browser
# and the other programs that we start must not load our libraries for theirs.
if (before := os.environ.pop("LD_LIBRARY_PATH_ORIG", None)) is not None:
    os.environ["LD_LIBRARY_PATH"] = before
else:
    os.environ.pop("LD_LIBRARY_PATH", None)

sys.exit(main())
