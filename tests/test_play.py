"""play.html in a headless Chromium: its networks compute what PyTorch's do, its stations work."""

import numpy as np
import pytest
import torch
from chromium import chromium, needed, webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from ygan_core import scores
from ygan_study.run.shipped import shipped
from ygan_study.teach import play

pytestmark = needed


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return play.build(tmp_path_factory.mktemp("play") / "play.html")


@pytest.fixture(scope="module")
def browser():
    with chromium(1366, 768) as browser:
        yield browser


def opened(browser, page):
    browser.get(page.as_uri())
    ready = "return !document.querySelector('#waiting') || document.querySelector('#waiting').hidden"
    WebDriverWait(browser, 60).until(lambda b: b.execute_script(ready))
    return browser


NUMBERS = """
const [name, pixels] = arguments, network = networks[name], x = pixels.map(toInput)
const z_s = network.encode("E_s", x), z_r = network.encode("E_r", x)
const turned = z_r.slice(1).concat(z_r.slice(0, 1)), list = rows => rows.map(row => [...row])
return {z_s: list(z_s), z_r: list(z_r), logits: z_s.map(z => [...network.classify(z)]),
  x_hat: list(network.decode(z_s, z_r)), hybrid: list(network.decode(z_s, turned))}
"""


@pytest.mark.parametrize("name", play.NETWORKS)
def test_the_networks_compute_what_pytorchs_do(browser, page, name):
    run = shipped(play.NETWORKS[name])
    model, images = run.model(), run.images(np.arange(0, 2800, 140))
    pixels = images.flatten(1).tolist()
    found = opened(browser, page).execute_script(NUMBERS, name, pixels)
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
