"""`python -m tests.desktop.picture`: makes the README's pictures in `assets` anew, as tests saw them on real desktops.
`python -m tests.desktop.picture page` makes one of them.

applet: screenshot.png is a step of the test of the whole applet on Xfce: the lamp red, its menu open, Sign In offered.
panels: lamps.png is every look of the lamp in a dark and in a light panel.
page: status-page.png is the status page in Chromium, as it answers why one was signed out on Tuesday.
"""

import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.desktop import lamps
from tests.desktop.whole_applet import ARTIFACTS

ASSETS = Path(__file__).parents[2] / "assets"
APPLET = "test_one_click_lights_the_lamp_and_one_more_after_the_provider_revoked"
STEP = f"applet-{APPLET.removeprefix('test_')}-xfce4-panel-05-red-menu.png"
UPPER_PART = (0, 0, 1024, 270)
PANELS = "test_every_look_is_there_on_a_dark_and_on_a_light_panel_side_by_side"
PAGE = "test_it_answers_why_one_was_signed_out_on_tuesday"
TESTS = {
    "applet": f"test_whole_applet.py::{APPLET}[xfce4-panel]",
    "panels": f"test_tray_on_panels.py::{PANELS}",
    "page": f"test_status_page.py::{PAGE}",
}

if __name__ == "__main__":
    wanted = sys.argv[1:] or list(TESTS)
    code = pytest.main(["-q", *(str(Path(__file__).with_name(TESTS[name])) for name in wanted)])
    if code == pytest.ExitCode.OK and "applet" in wanted:
        Image.open(ARTIFACTS / STEP).crop(UPPER_PART).save(ASSETS / "screenshot.png", optimize=True)
    if code == pytest.ExitCode.OK and "panels" in wanted:
        shutil.copyfile(ARTIFACTS / lamps.PICTURE, ASSETS / lamps.PICTURE)
    if code == pytest.ExitCode.OK and "page" in wanted:
        Image.open(ARTIFACTS / "page-tuesday.png").save(ASSETS / "status-page.png", optimize=True)
    sys.exit(code)
