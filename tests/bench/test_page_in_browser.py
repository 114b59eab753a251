"""The page of `mghft-bench --html` in a real browser, as wide as a phone."""

import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from mghft_export.bench.page import POLICY

PHONE = (390, 844)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")

    def run(*options):
        command = [found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        return subprocess.run([*command, *options], capture_output=True, text=True, timeout=120, check=True)

    return run


class Seen(HTMLParser):
    """Tags, and what the browser measured."""

    def __init__(self):
        super().__init__()
        self.tags, self.widths = [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.widths = dict(attributes).get("data-widths", self.widths)


def test_a_phone_shows_it_without_scrolling_sideways(browser, measured, tmp_path):
    page = (measured / "r.html").read_text(encoding="utf-8")
    seen = Seen()
    seen.feed(browser("--dump-dom", (measured / "r.html").as_uri()).stdout)
    assert seen.tags.count("svg") == page.count("<svg")
    assert seen.tags.count("table") == 2

    # A headless window has a least width above a phone's; a frame has none.
    tells = "parent.postMessage(document.documentElement.scrollWidth + ' ' + innerWidth, '*')"
    inner, outer = tmp_path / "inner.html", tmp_path / "outer.html"
    told = page.replace("</body>", f"<script>{tells}</script></body>")
    inner.write_text(told, encoding="utf-8")
    listens = "addEventListener('message', event => { document.body.dataset.widths = event.data })"
    size = f"width={PHONE[0]} height={PHONE[1]}"
    outer.write_text(
        f'<body style="margin:0"><script>{listens}</script><iframe {size} frameborder=0 src="inner.html"></iframe>',
        encoding="utf-8",
    )
    seen.feed(browser("--virtual-time-budget=5000", "--dump-dom", outer.as_uri()).stdout)
    assert seen.widths == "", "a script ran in the page in spite of its policy"
    assert POLICY in told
    inner.write_text(told.replace(POLICY, ""), encoding="utf-8")
    seen.feed(browser("--virtual-time-budget=5000", "--dump-dom", outer.as_uri()).stdout)
    needed, had = map(int, seen.widths.split())
    assert had == PHONE[0]
    assert needed <= had

    picture = tmp_path / "phone.png"
    browser("--window-size=800,900", f"--screenshot={picture}", outer.as_uri())
    pixels = np.asarray(Image.open(picture).convert("L"), dtype=np.float32)
    assert pixels[:, : PHONE[0]].std() > 5, "the page is blank"
