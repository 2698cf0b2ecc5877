"""The class tour in a real JupyterLab, in a headless Chromium that reaches nothing but this machine."""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from ygan_core.data.datasets import REPOSITORY

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium is not installed: pip install -e '.[dev]'"
)
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(
        not BROWSER, reason="no Chromium on this machine: the widgets of the tour were not driven"
    ),
    pytest.mark.skipif(
        not DRIVER,
        reason="no chromedriver on this machine: the widgets of the tour were not driven",
    ),
]
WIDGETS = ("swap", "walk", "reversal", "threshold", "pad")  # cells of the tour, by their ids


def interactive_cells(book):
    """The code cells that the widgets need, and of each widget its place among them."""
    needed = [
        c
        for c in book.cells
        if c.cell_type == "code" and (c.id.startswith("cell-") or c.id in (*WIDGETS, "objective"))
    ]
    return needed, {name: [c.id for c in needed].index(name) for name in WIDGETS}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The browser, and the tour's widgets in it, {name: the cell's element}. The live training is the smoke profile's."""
    root = tmp_path_factory.mktemp("lab")
    book = nbformat.read(REPOSITORY / "notebooks" / "00_tour.ipynb", as_version=4)
    book.cells, places = interactive_cells(book)
    book.cells[0].source = book.cells[0].source.replace('"quick"', '"smoke"')
    nbformat.write(book, root / "tour.ipynb")
    for plugin, setting in {
        "notebook-extension/tracker": {
            "windowingMode": "none"
        },  # else cells out of sight are not in the page
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }.items():
        file = root / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(setting))
    folders = {
        f"JUPYTER_{name}_DIR": str(root / name.lower()) for name in ("RUNTIME", "CONFIG", "DATA")
    }
    folders |= {
        "JUPYTERLAB_SETTINGS_DIR": str(root / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(root / "workspaces"),
    }
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--expose-app-in-browser",
    ]
    command += ["--ServerApp.port=0", f"--ServerApp.root_dir={root}"]
    log = (root / "log").open("w")
    server = subprocess.Popen(
        command, env={**os.environ, **folders, "PYTHONPATH": paths}, stdout=log, stderr=log
    )
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in (
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        "window-size=1300,1000",
    ):
        options.add_argument(f"--{argument}")
    options.add_argument(
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    )
    browser = None
    try:
        browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        browser.set_script_timeout(200)
        running = root / "runtime" / f"jpserver-{server.pid}.json"
        WebDriverWait(browser, 60).until(lambda _: running.exists() and running.stat().st_size)
        about = json.loads(running.read_text())
        browser.get(f"http://127.0.0.1:{about['port']}/lab/tree/tour.ipynb?token={about['token']}")
        ready = "return window.jupyterapp?.shell.currentWidget?.context?.sessionContext?.session?.kernel?.status"
        WebDriverWait(browser, 90).until(lambda b: b.execute_script(ready) == "idle")
        run = "const done = arguments[0]; window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => done())"
        browser.execute_async_script(run)
        elements = browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell")
        found = {name: elements[place] for name, place in places.items()}
        yield browser, found
    finally:
        if browser:
            browser.quit()
        server.terminate()
        server.wait(20)


PIXELS = """
const [image, done] = arguments
fetch(image.src).then(r => r.arrayBuffer()).then(b => done(Array.from(new Uint8Array(b)).join())).catch(() => done(null))
"""


def shown(browser, cell):
    """The PNG of the cell's picture, once it is on the page."""

    def picture(_):
        images = cell.find_elements(By.CSS_SELECTOR, "img.widget-image")
        return (
            browser.execute_async_script(PIXELS, images[0])
            if images and images[0].size["width"] > 300
            else None
        )

    return WebDriverWait(browser, 60).until(picture)


def test_where_the_sliders_live_each_picture_is_shown_once(cells):
    browser, found = cells
    for name in WIDGETS:
        shown(browser, found[name])
        pictures = found[name].find_elements(By.CSS_SELECTOR, ".jp-OutputArea img")
        assert len(pictures) == 2 and [picture.is_displayed() for picture in pictures] == [
            False,
            True,
        ], name


def changes(browser, cell, before):
    """The picture after it is no longer what it was."""
    return WebDriverWait(browser, 30).until(
        lambda _: (now := shown(browser, cell)) != before and now
    )


@pytest.mark.parametrize("name", ["swap", "walk", "reversal", "threshold"])
def test_a_slider_moves_and_the_picture_changes(cells, name):
    browser, cell = cells[0], cells[1][name]
    sliders = cell.find_elements(By.CSS_SELECTOR, ".widget-hslider")
    assert sliders
    for slider in sliders:
        before, label = shown(browser, cell), slider.text
        handle = slider.find_element(By.CSS_SELECTOR, ".noUi-handle")
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", slider)
        way = -45 if name == "reversal" else 45  # that one begins at its right end
        webdriver.ActionChains(browser).drag_and_drop_by_offset(handle, way, 0).perform()
        changes(browser, cell, before)
        assert slider.text != label


def test_a_drawn_digit_is_seen(cells):
    browser, cell = cells[0], cells[1]["pad"]
    first = shown(browser, cell)
    browser.execute_script("arguments[0].scrollIntoView()", cell)
    cell.find_element(By.TAG_NAME, "button").click()
    before = changes(browser, cell, first)
    canvas = cell.find_element(By.TAG_NAME, "canvas")
    mouse = (
        webdriver.ActionChains(browser)
        .move_to_element_with_offset(canvas, -60, -80)
        .click_and_hold()
    )
    mouse.move_by_offset(60, 0).move_by_offset(60, 0).move_by_offset(-40, 80).move_by_offset(
        -30, 80
    ).release().perform()
    drawn = changes(browser, cell, before)
    cell.find_element(By.TAG_NAME, "button").click()
    assert changes(browser, cell, drawn) == before
