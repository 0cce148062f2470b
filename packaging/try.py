"""`python3 packaging/try.py [ARGUMENTS]`: Lamplighter's demo, with all that it needs set up first.

ARGUMENTS are those of `lamplighter demo`, for example `--story`. A second run starts the demo at once.
"""

import os
import sys

import setup_machine

if __name__ == "__main__":
    try:
        programs = setup_machine.environment()
        setup_machine.become([str(programs / "lamplighter"), "demo", *sys.argv[1:]], dict(os.environ))
    except KeyboardInterrupt:
        sys.exit(130)
