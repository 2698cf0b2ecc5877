"""Section 5 in numbers, which the paper does not print: probes and swaps on Color-MNIST."""

from itertools import product

import torch
from sklearn.neighbors import KNeighborsClassifier

from ygan_core import metrics, scores
from ygan_core.model import YGAN
from ygan_study.measure.colours import read_background, read_ink
from ygan_study.plan.images import prepare
from ygan_study.plan.settings import Settings


def disentanglement(model: YGAN, config: Settings) -> dict[str, float]:
    """What can be read from each latent, and what hybrids show, on held-back normal images.

    probe_<what>_<latent>: the accuracy of a linear classifier, fitted on standardised latents of
    the training images; unit_<what>_<latent>: the same on latents of unit length. swap_digit,
    swap_colour: the fraction of hybrids D(z_s, z_r') that show the digit of the image of z_s, and
    the background of that of z_r'. The digit is read from the ink by the 5 nearest training images,
    so that the network does not judge itself. read_digit: the fraction of real images that this
    reader reads correctly, an upper bound for swap_digit. Raises DataError.
    """
    data, parts = prepare(config)
    seen, there = data.take(parts.train), data.take(parts.held_back)
    learned, unseen = scores.encode(model, seen.images), scores.encode(model, there.images)
    known = {"digit": seen.labels, "colour": seen.colours}
    true = {"digit": there.labels, "colour": there.colours}
    measured = {}
    for what, latent in product(true, ("z_s", "z_r")):
        of_both = (getattr(learned, latent), known[what], getattr(unseen, latent), true[what])
        measured[f"probe_{what}_{latent}"] = metrics.linear_probe(*of_both)
        measured[f"unit_{what}_{latent}"] = metrics.linear_probe(*of_both, unit=True)
    donors = torch.arange(min(1000, len(there)))
    partners = donors.roll(1)  # held-back images come in random order
    hybrids = scores.decode(model, unseen.z_s[donors], unseen.z_r[partners])
    digits, colours = there.labels[donors], there.colours[partners]
    reader = KNeighborsClassifier(5).fit(read_ink(seen.images[:10_000]), seen.labels[:10_000])
    return measured | {
        "read_digit": float(reader.score(read_ink(there.images[donors]), digits)),
        "swap_digit": float(reader.score(read_ink(hybrids), digits)),
        "swap_colour": (read_background(hybrids) == colours).double().mean().item(),
    }
