"""The plain classifier: E_s and C trained by cross-entropy alone.

The paper has no such comparison. It uses the same labels and the same score (Eq. 12) as Y-GAN,
without any of Y-GAN's own ideas, so it shows what the dual representation adds.
"""

import torch
from torch import nn

from ygan_core.config import Config
from ygan_core.model import YGAN, LatentClassifier, dcgan_init
from ygan_study.methods.tuned import Tuned

CLASSIFIER = dict(method="classifier", latents="semantic", score="s")
CLASSIFIER |= {f"lambda_{i}": 0.0 for i in (1, 2, 4, 5, 6)}


class ClassifierNetwork(YGAN):
    """E_s and C alone, with Y-GAN's interface: z_r is (B, 0), and there is no D and no Ds."""

    def __init__(self, channels, image_size, width, d, hidden, classes):
        nn.Module.__init__(self)
        self.latents, self.d = "semantic", d
        self.E_s = self.encoder(channels, image_size, width, d)
        self.C = LatentClassifier(d, hidden, classes)
        self.apply(dcgan_init)

    def discriminator_parameters(self) -> list[nn.Parameter]:
        return []


class Classifier(Tuned):
    """The training of E_s and C by L_s."""

    network = ClassifierNetwork

    @classmethod
    def networks(cls, config: Config, channels: int, classes: int) -> YGAN:
        c = config
        return cls.network(channels, c.image_size, c.width, c.d, c.hidden, classes)

    def make_optimisers(self) -> list[torch.optim.Optimizer]:
        return [self.adam(self.model.generator_parameters())]
