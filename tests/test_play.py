"""play.html in a headless Chromium: its networks compute what PyTorch's do, its stations work."""

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
import torch
from chromium import chromium, needed
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from ygan_core import scores
from ygan_core.data import COLOURS
from ygan_study.__main__ import main
from ygan_study.run import pretrained
from ygan_study.teach import play
from ygan_study.teach.answers import gather
from ygan_study.teach.widgets import SEVEN, ZERO, digit

pytestmark = needed
at_a_desk = pytest.mark.parametrize("browser", ["mouse"], indirect=True)


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


def press(browser, selector, x=0, y=0):
    """A click or a tap on an element, at (x, y) from its middle."""
    draw(browser, selector, [(x, y)])


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


def go(browser, number, by_key=False):
    """To a station, by its link or its key."""
    if by_key:
        ActionChains(browser).send_keys(str(number)).perform()
    else:
        press(browser, f"nav a[href='#{number}']")
    here = f"nav a[href='#{number}'][aria-current]"
    WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, here))


def predict(browser, question, number):
    press(browser, f"[data-question='{question}'] button:nth-of-type({number})")


def outcome(browser, question):
    return find(browser, f"[data-outcome='{question}']").text


def pixels(browser, selector):
    return browser.execute_script(f"return document.querySelector('{selector} canvas').toDataURL()")


DRAWN = [(-60, -80), (60, -80), (10, 60)]  # a 7


def test_every_station_fits_the_screen(opened):
    answer = "document.querySelectorAll('.predict button:first-of-type').forEach(predict)"
    opened.execute_script(answer)  # shows all that a station has
    wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
    for number in range(1, 7):
        go(opened, number)
        assert not opened.execute_script(wide), number


def test_two_codes_of_what_is_chosen_or_drawn(opened):
    seen = {pixels(opened, "#codes-x")}
    predict(opened, "1 code", 1)
    told = outcome(opened, "1 code")
    z_s, z_r = map(int, re.findall(r"(\d+) %", told))
    assert told.startswith("You predicted: zs. From yellow to brown") and z_s < 50 < z_r
    seen.add(pixels(opened, "#codes-x"))
    press(opened, "[data-strip=codes] [value='7']")  # on the same background
    seen.add(pixels(opened, "#codes-x"))
    z_s, z_r = (find(opened, f"#change-z_{z}").text.split()[-2] for z in "sr")
    assert int(z_r) < 50 < int(z_s)
    bars = find(opened, "#codes-z_s").get_attribute("innerHTML")
    press(opened, "#codes summary")
    draw(opened, "#codes .pad canvas", DRAWN)
    seen.add(pixels(opened, "#codes-x"))
    assert len(seen) == 4 and find(opened, "#codes-z_s").get_attribute("innerHTML") != bars
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_the_swap_is_shown_after_both_predictions(opened):
    press(opened, "#codes summary")
    draw(opened, "#codes .pad canvas", DRAWN)
    go(opened, 2)
    predict(opened, "2 digit", 2)
    assert not find(opened, "#swap-way").is_displayed()
    predict(opened, "2 background", 1)
    assert "the digit of B. C reads 2, as in A." in outcome(opened, "2 digit")
    assert "the background of A. It is red, that of B." in outcome(opened, "2 background")
    halfway = pixels(opened, "#swap-way")
    press(opened, "#way", find(opened, "#way").size["width"] // 2 - 2)
    assert halfway != pixels(opened, "#swap-way") == pixels(opened, "#swap-ab")
    seen = {pixels(opened, "#swap-ab")}
    for choice in ("[data-strip=b] [value='4']", "[data-strip=a] [value=mine]"):
        press(opened, choice)
        seen.add(pixels(opened, "#swap-ab"))
    assert len(seen) == 3
    press(opened, "#swap summary")
    press(opened, "#clear")
    draw(opened, "#swap .pad canvas", [(0, -60), (0, 60)])
    assert "C reads 1, as in A." in outcome(opened, "2 digit")


@at_a_desk
def test_two_networks_side_by_side(opened):
    go(opened, 3)
    predict(opened, "3 network", 3)
    told = outcome(opened, "3 network")
    followed = [int(n) for n in re.findall(r"(\d+) of 32", told)]
    assert told.startswith("You predicted: in both.") and followed[0] == 32 > followed[1]
    grid = "return document.querySelector('#grid-paper').toDataURL()"
    before = opened.execute_script(grid)
    press(opened, "#others")
    assert opened.execute_script(grid) != before


@at_a_desk
def test_the_threshold_moves_the_rates_as_the_study_measures_them(opened):
    go(opened, 4)
    predict(opened, "4 zero", 1)
    press(opened, "[onclick^=setNetwork][aria-pressed=false]")  # paper
    run = pretrained(play.NETWORKS["paper"])
    test = run.test["in_test"]
    s, anomalous = run.scores[test], run.test["anomalous"][test]
    seen = set()
    for pressed, x in (("#threshold", -60), ("#histogram", 60)):
        press(opened, pressed, x)
        threshold = float(find(opened, "#threshold").get_attribute("value"))
        told = re.findall(r"\d[\d.]*", find(opened, "#rates").text)
        assert float(told[0]) == threshold
        for kind, rate in zip((~anomalous, anomalous), told[1:], strict=True):
            assert abs(100 * (s[kind] > threshold).mean() - int(rate)) <= 0.5 + 1e-9
        verdict = "an anomaly" if 0.63 > threshold else "normal"  # the score of the 0
        assert find(opened, "#normal-verdict").text.endswith(f"{verdict}.")
        seen.add((threshold, find(opened, "#roc circle").get_attribute("cx")))
    assert len(seen) == 2
    press(opened, "#histogram", find(opened, "#histogram").size["width"] // 2 - 1)
    assert find(opened, "#normal-verdict").text.endswith("normal.")


@at_a_desk
def test_break_it_and_hand_in(opened, tmp_path):
    go(opened, 5)
    press(opened, "#clear")
    for button in ("keep", "download"):
        press(opened, f"[onclick='{button}()']")
        assert find(opened, "#pad-says").text == "Nothing is drawn yet."
    draw(opened, "#break .pad canvas", DRAWN)
    assert find(opened, "#break-verdict").text.startswith("C reads 7. s = 0.0")
    press(opened, "[onclick='keep()']")
    assert find(opened, "#kept-verdict").text == "First choose what you drew."
    find(opened, "#meant option[value='no digit']").click()
    press(opened, "[onclick='keep()']")
    assert find(opened, "#kept-verdict").text.startswith("You broke it: the drawing passes")
    assert len(opened.find_elements(By.CSS_SELECTOR, "#kept canvas")) == 1
    opened.execute_script("save = (name, url) => { window.saved = url }")
    press(opened, "[onclick='download()']")
    picture = opened.execute_script("return saved").removeprefix("data:image/png;base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    assert picture.size == (680, 400) and picture.getpixel((25, 25)) == COLOURS["cyan"]
    go(opened, 6)
    find(opened, "#name").send_keys('Ada "A" L.')
    press(opened, "[onclick='copyAnswers()']")
    assert find(opened, "#copied").text == "Copied."
    (tmp_path / "ada.csv").write_text(find(opened, "#table").get_attribute("value"))
    table = pd.read_csv(gather(tmp_path, tmp_path / "t" / "answers.csv"))
    assert table["student"].item() == 'Ada "A" L.'
    assert table["play 5 no digit"].item() == "passes as normal (1 kept)"


@at_a_desk
def test_a_drawing_becomes_the_same_image_as_in_the_tour(opened):
    for strokes in (SEVEN, ZERO):
        points = [[list(map(float, point)) for point in stroke] for stroke in strokes]
        ink = opened.execute_script("return [...inkOf(arguments[0])]", points)
        expected = digit(strokes, 0)[0, 0].flatten() == 0
        assert (torch.tensor(ink, dtype=torch.bool) == expected).double().mean() > 0.98


@at_a_desk
def test_by_keyboard_alone(opened):
    go(opened, 5, by_key=True)
    pen = find(opened, "#break .pad canvas")
    pen.send_keys(*[Keys.ARROW_UP] * 6, " ", *[Keys.ARROW_DOWN] * 12, " ")
    assert find(opened, "#break-verdict").text.startswith("C reads 1.")
    seen = pixels(opened, "#break-x")
    pen.send_keys(" ", *[Keys.ARROW_RIGHT] * 5)
    go(opened, 3, by_key=True)  # ends the stroke, which stays at station 5
    assert pixels(opened, "#break-x") != seen
    find(opened, "[data-question='3 network'] button").send_keys(Keys.TAB, Keys.ENTER)
    assert outcome(opened, "3 network").startswith("You predicted: in paper.")
    go(opened, 6, by_key=True)
    find(opened, "#name").send_keys("5")
    assert find(opened, "#answers").is_displayed()


@at_a_desk
def test_a_damaged_page_says_so_in_one_sentence(browser, page, tmp_path):
    whole = page.read_text(encoding="utf-8")
    middle = len(whole) // 2
    damaged = whole[:middle] + ("a" if whole[middle] != "a" else "b") + whole[middle + 1 :]
    (tmp_path / "damaged.html").write_text(damaged, encoding="utf-8")
    open_page(browser, tmp_path / "damaged.html")
    assert find(browser, "#problem").text.endswith("please download it again.")
    assert not find(browser, "main").is_displayed()


NUMBERS = """
const [name, images] = arguments, network = networks[name]
const z_s = images.map(image => network.encode("E_s", image))
const z_r = images.map(image => network.encode("E_r", image))
const decoded = shift => z_s.map((s, i) => network.decode(s, z_r[(i + shift) % z_r.length]))
return Object.fromEntries(Object.entries({
  z_s, z_r, logits: z_s.map(z => network.classify(z)), x_hat: decoded(0), hybrid: decoded(1),
}).map(([key, rows]) => [key, rows.map(row => [...row])]))
"""


@at_a_desk
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
