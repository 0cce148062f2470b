"""`.venv/bin/python -m tests.kept`: what this version keeps of its accounts goes into `tests/kept/VERSION`.

For each version once, before its release (packaging/release.py looks whether it is there and up to date). What an
earlier version wrote is never written again: tests/integration/test_earlier_versions.py reads all of it.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from tests.kept.lives import live
from tray_app._version import __version__

if __name__ == "__main__":
    folder = Path(__file__).parent / __version__
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(live(folder, Path(scratch)))
    print(folder)  # noqa: T201 - for whoever called it
