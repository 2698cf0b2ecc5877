"""The class tour in a real JupyterLab, in a headless Chromium."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from chromium import chromium, needed, webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from ygan_core.data.datasets import REPOSITORY

pytestmark = needed
WIDGETS = ("swap", "walk", "reversal", "threshold", "pad")  # cells of the tour, by their ids
SETTINGS = {  # a cell out of sight stays in the page; no question about news
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
RUN = """
const done = arguments[0]
window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => done())
"""
PIXELS = """
const [image, done] = arguments
fetch(image.src).then(r => r.arrayBuffer()).then(b => done(Array.from(new Uint8Array(b)).join()))
  .catch(() => done(null))
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The browser, and the tour's widgets in it, {name: the cell's element}, after a short live
    training."""
    root = tmp_path_factory.mktemp("lab")
    book = nbformat.read(REPOSITORY / "notebooks" / "00_tour.ipynb", as_version=4)
    wanted = (*WIDGETS, "objective")
    book.cells = [
        cell
        for cell in book.cells
        if cell.cell_type == "code" and (cell.id.startswith("cell-") or cell.id in wanted)
    ]
    book.cells[0].source = book.cells[0].source.replace('"quick"', '"smoke"')
    nbformat.write(book, root / "tour.ipynb")
    for plugin, setting in SETTINGS.items():
        file = root / "LAB_SETTINGS" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(setting))
    kinds = ("_RUNTIME", "_CONFIG", "_DATA", "LAB_SETTINGS", "LAB_WORKSPACES")
    folders = {f"JUPYTER{kind}_DIR": root / kind for kind in kinds}
    paths = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        + ["--expose-app-in-browser", "--ServerApp.port=0", f"--ServerApp.root_dir={root}"],
        env={**os.environ, **{k: str(v) for k, v in folders.items()}, "PYTHONPATH": paths},
        stdout=(root / "log").open("w"),
        stderr=subprocess.STDOUT,
    )
    try:
        with chromium() as browser:
            running = root / "_RUNTIME" / f"jpserver-{server.pid}.json"
            WebDriverWait(browser, 60).until(lambda _: running.exists() and running.stat().st_size)
            about = json.loads(running.read_text())
            lab = f"http://127.0.0.1:{about['port']}/lab/tree"
            browser.get(f"{lab}/tour.ipynb?token={about['token']}")
            WebDriverWait(browser, 90).until(lambda b: b.find_elements(By.CSS_SELECTOR, IDLE))

            def sliders(browser):
                return browser.find_elements(By.CSS_SELECTOR, ".widget-hslider")

            def run(browser):
                # The command runs the notebook that has the focus, and nothing where none has it.
                browser.find_element(By.CSS_SELECTOR, ".jp-Cell").click()
                browser.execute_async_script(RUN)
                return WebDriverWait(browser, 10).until(sliders)

            WebDriverWait(browser, 240, ignored_exceptions=[WebDriverException]).until(run)
            elements = browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell")
            found = dict(zip([cell.id for cell in book.cells], elements, strict=True))
            yield browser, {name: found[name] for name in WIDGETS}
    finally:
        server.terminate()
        server.wait(120)


def shown(browser, cell):
    """The PNG of the cell's picture, once it alone is on the page: the plain one above it, for a
    page without a kernel, is hidden."""

    def picture(_):
        images = cell.find_elements(By.CSS_SELECTOR, ".jp-OutputArea img")
        if [image.is_displayed() for image in images] == [False, True]:
            large = images[1].size["width"] > 300
            return large and browser.execute_async_script(PIXELS, images[1])

    return WebDriverWait(browser, 120).until(picture)


def changed(browser, cell, before):
    """The picture, once it is no longer what it was."""
    return WebDriverWait(browser, 30).until(
        lambda _: (now := shown(browser, cell)) != before and now
    )


@pytest.mark.parametrize("name", WIDGETS[:-1])
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
        changed(browser, cell, before)
        assert slider.text != label


def test_a_drawn_digit_is_seen(cells):
    browser, cell = cells[0], cells[1]["pad"]
    first = shown(browser, cell)
    browser.execute_script("arguments[0].scrollIntoView()", cell)
    cell.find_element(By.TAG_NAME, "button").click()
    before = changed(browser, cell, first)
    canvas = cell.find_element(By.TAG_NAME, "canvas")
    mouse = webdriver.ActionChains(browser).move_to_element_with_offset(canvas, -60, -80)
    mouse.click_and_hold()
    for step in ((60, 0), (60, 0), (-40, 80), (-30, 80)):
        mouse.move_by_offset(*step)
    mouse.release().perform()
    drawn = changed(browser, cell, before)
    cell.find_element(By.TAG_NAME, "button").click()
    assert changed(browser, cell, drawn) == before
