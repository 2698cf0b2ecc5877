"""A headless Chromium that reaches nothing but this machine, for the tests that drive a page."""

import contextlib
import shutil
import tempfile

import pytest

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium is not installed: pip install -e '.[dev]'"
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
DRIVER = shutil.which("chromedriver")
needed = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no Chromium or no chromedriver: no page was driven"
)


@contextlib.contextmanager
def chromium(width=1300, height=1000, phone=False):
    """The browser, in a profile of its own. phone: with a touch screen, and a page of this size."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for argument in (
            "headless=new",
            "no-sandbox",
            "disable-gpu",
            "disable-dev-shm-usage",
            "disable-background-networking",
            f"user-data-dir={profile}",
            f"window-size={width},{height}",
            "host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        ):
            options.add_argument(f"--{argument}")
        if phone:
            screen = {"width": width, "height": height, "pixelRatio": 2, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": screen})
        browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        try:
            browser.set_script_timeout(200)
            yield browser
        finally:
            browser.quit()
