"""`python3 packaging/requirements.py [--check] [--upgrade]`: pins what tests and packages install; see pins.py.

Nothing else stands here, since a library of the linters is called `requirements` as well.
"""

from __future__ import annotations  # as in setup_machine.py

import pins

if __name__ == "__main__":
    pins.main()
