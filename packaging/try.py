"""`python3 packaging/try.py [--yes] [ARGUMENTS]`: Lamplighter's demo, with all that it needs set up first.

ARGUMENTS are those of `lamplighter demo`, for example `--story`. The first run names what it installs, into a folder
of its own in this checkout, and asks first where it runs in a terminal; `--yes` answers that. A second run starts the
demo at once. `--help` installs nothing.
"""

from __future__ import annotations  # as in setup_machine.py

import os
import sys

import setup_machine

if __name__ == "__main__":
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(__doc__)
        sys.exit()
    try:
        programs = setup_machine.environment()
        arguments = [argument for argument in sys.argv[1:] if argument != setup_machine.ASSUME_YES]
        setup_machine.become([str(programs / "lamplighter"), "demo", *arguments], dict(os.environ))
    except KeyboardInterrupt:
        sys.exit(130)
