"""play.html in a headless Chromium: its networks compute what PyTorch's do, its stations work."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
import torch
from chromium import chromium, needed
from PIL import Image
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from ygan_core import scores
from ygan_study.__main__ import main
from ygan_study.run import pretrained
from ygan_study.teach import play
from ygan_study.teach.answers import gather

pytestmark = needed


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("play")
    assert main(["play", "--results", str(folder)]) == 0
    return folder / "play.html"


@pytest.fixture(scope="module", params=["mouse", "touch"])
def browser(request):
    size = (1366, 768) if request.param == "mouse" else (390, 844)
    with chromium(*size, phone=request.param == "touch") as browser:
        browser.pointer = request.param
        yield browser


@pytest.fixture
def opened(browser, page):
    return open_page(browser, page)


def open_page(browser, page):
    browser.get(page.as_uri())
    ready = "return document.querySelector('#waiting')?.hidden"
    WebDriverWait(browser, 60).until(lambda b: b.execute_script(ready))
    return browser


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def press(browser, selector):
    """A click or a tap."""
    element = find(browser, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    draw(browser, selector, [(0, 0)])


def draw(browser, selector, points):
    """Press at the first of these points, of (x, y) from the element's middle, and move on."""
    element = find(browser, selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    actions = ActionBuilder(browser, mouse=PointerInput(browser.pointer, browser.pointer))
    (x, y), *others = points
    actions.pointer_action.move_to(element, x, y).pointer_down()
    for x, y in others:
        actions.pointer_action.move_to(element, x, y)
    actions.pointer_action.pointer_up()
    actions.perform()


def pixels(browser, selector):
    return browser.execute_script(f"return document.querySelector('{selector} canvas').toDataURL()")


def shift(browser, selector, value):
    """Let a slider go to a value."""
    set_value = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
    browser.execute_script(set_value, find(browser, selector), value)


SEVEN = [(-60, -80), (60, -80), (10, 60)]


def test_two_codes_of_what_is_chosen_or_drawn(opened):
    seen = {pixels(opened, "#one-x")}
    press(opened, "[data-strip=one] input[value='4']")
    seen.add(pixels(opened, "#one-x"))
    bars = find(opened, "#one-z_s").get_attribute("innerHTML")
    draw(opened, "[data-pad=one] canvas", SEVEN)
    seen.add(pixels(opened, "#one-x"))
    assert len(seen) == 3 and find(opened, "#one-z_s").get_attribute("innerHTML") != bars
    press(opened, "[data-pad=one] button")
    assert find(opened, "[data-pad=one] p").text == "Nothing is drawn yet."
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_the_swap_is_shown_after_both_predictions(opened):
    press(opened, "nav [data-to='2']")
    press(opened, "[name='2 digit']")
    assert not find(opened, "#swap-way").is_displayed()
    press(opened, "[name='2 background'][value='the background of B']")
    assert find(opened, "#swap-way").is_displayed()
    assert not find(opened, "[name='2 digit']").is_enabled()  # a prediction stays
    seen = {pixels(opened, "#swap-way")}
    shift(opened, "#way", 1)
    seen.add(pixels(opened, "#swap-way"))
    assert pixels(opened, "#swap-way") == pixels(opened, "#swap-ab")
    press(opened, "[data-strip=b] input[value='4']")
    assert len(seen | {pixels(opened, "#swap-way")}) == 3


def test_two_networks_side_by_side(opened):
    press(opened, "nav [data-to='3']")
    press(opened, "[name='3 network']")
    counts = {name: find(opened, f"#count-{name}").text for name in play.NETWORKS}
    assert "36 of 36 have the background" in counts["balanced"]
    assert "36 of 36 have the background" not in counts["paper"]
    press(opened, "#others")
    assert find(opened, "#count-paper").text != counts["paper"]


def test_the_threshold_moves_the_rates_as_the_study_measures_them(opened):
    press(opened, "nav [data-to='4']")
    press(opened, "[name='4 zero']")
    run = pretrained(play.NETWORKS["paper"])
    press(opened, "[data-network=paper]")
    shift(opened, "#threshold", 0.3)
    test = run.test["in_test"]
    s, anomalous = run.scores[test], run.test["anomalous"][test]
    rates = [round(100 * (s[kind] > 0.3).mean()) for kind in (~anomalous, anomalous)]
    text = find(opened, "#four-rates").text
    assert text.startswith(f"Above 0.30: {rates[0]} % of the normal") and f"{rates[1]} % of" in text
    verdict = find(opened, "#four-verdict").text
    shift(opened, "#threshold", 0.9)
    assert "an anomaly" in verdict and "normal" in find(opened, "#four-verdict").text


def test_break_it_and_hand_in(opened, tmp_path):
    press(opened, "nav [data-to='5']")
    press(opened, "#keep")
    assert find(opened, "#kept-verdict").text == "Nothing is drawn yet."
    draw(opened, "[data-pad=five] canvas", SEVEN)
    assert find(opened, "#five-verdict").text.startswith("C says 7. s = 0.0")
    press(opened, "#keep")  # it is said to be no digit
    assert find(opened, "#kept-verdict").text.startswith("You broke it: the drawing passes")
    assert len(opened.find_elements(By.CSS_SELECTOR, "#kept canvas")) == 1
    opened.execute_script("save = (name, url) => { window.saved = url }")
    press(opened, "#download")
    picture = opened.execute_script("return saved").removeprefix("data:image/png;base64,")
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (680, 400)
    press(opened, "nav [data-to='6']")
    find(opened, "#name").send_keys('Ada "A" L.')
    (tmp_path / "ada.csv").write_text(find(opened, "#answers").get_attribute("value"))
    table = pd.read_csv(gather(tmp_path, tmp_path / "t" / "answers.csv"))
    assert table["student"].item() == 'Ada "A" L.'
    assert table["play 5 no digit"].item() == "passes as normal (1 kept)"


def test_no_station_is_wider_than_the_screen(opened):
    for number in range(1, 7):
        press(opened, f"nav [data-to='{number}']")
        for question in opened.find_elements(By.CSS_SELECTOR, f"#station-{number} .predict"):
            press(opened, f"[name='{question.get_attribute('data-question')}']")
        width = (
            "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
        assert opened.execute_script(width), number


def test_what_is_wrong_is_one_sentence(browser, page, tmp_path):
    whole = page.read_text(encoding="utf-8")
    middle = len(whole) // 2
    damaged = whole[:middle] + ("a" if whole[middle] != "a" else "b") + whole[middle + 1 :]
    for name, text in {"cut": whole[:middle], "damaged": damaged}.items():
        (tmp_path / f"{name}.html").write_text(text, encoding="utf-8")
        open_page(browser, tmp_path / f"{name}.html")
        assert find(browser, "#problem").text.endswith("please download the page again.")
        assert not find(browser, "main").is_displayed()
    before = {"source": "delete window.DecompressionStream"}
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", before)
    open_page(browser, page)
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    assert find(browser, "#problem").text.startswith("This browser cannot unpack the networks")


NUMBERS = """
const [name, pixels] = arguments, network = networks[name], x = pixels.map(toInput)
const z_s = network.encode("E_s", x), z_r = network.encode("E_r", x)
const turned = z_r.slice(1).concat(z_r.slice(0, 1)), list = rows => rows.map(row => [...row])
return {z_s: list(z_s), z_r: list(z_r), logits: z_s.map(z => [...network.classify(z)]),
  x_hat: list(network.decode(z_s, z_r)), hybrid: list(network.decode(z_s, turned))}
"""


@pytest.mark.parametrize("name", play.NETWORKS)
def test_the_networks_compute_what_pytorchs_do(opened, name):
    run = pretrained(play.NETWORKS[name])
    model, images = run.model(), run.images(np.arange(0, 2800, 140))
    found = opened.execute_script(NUMBERS, name, images.flatten(1).tolist())
    x = scores.to_input(images)
    with torch.inference_mode():
        z_s, z_r = model.E_s(x), model.E_r(x)
        expected = {"z_s": z_s, "z_r": z_r, "logits": model.C(z_s)}
        expected |= {"x_hat": model.D(z_s, z_r), "hybrid": model.D(z_s, z_r.roll(-1, 0))}
    assert len(images) == 20
    for key, values in expected.items():
        # Latents reach 3000, where a step of float32 is 2e-4: compared in units of the largest.
        largest = values.abs().max().clamp(min=1)
        assert (torch.tensor(found[key]) - values.flatten(1)).abs().max() < 1e-4 * largest, key


def test_the_page_is_small_enough(page):
    assert page.stat().st_size < 6_000_000
