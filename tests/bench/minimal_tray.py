"""The least that shows an icon with pystray, as its own documentation has it: what every start is compared with."""

import pystray
from PIL import Image

pystray.Icon("minimal", Image.new("RGB", (64, 64), "green"), "minimal").run()
