"""A stronger classifier, and Y-GAN on its encoder (notebook 11): the public speed runs on CIFAR10.

After airbench94 (Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv 2404.00498):
another encoder, gradient descent with Nesterov momentum, a triangular schedule, label smoothing,
shifted and mirrored training images, and an image scored together with its mirror image. Their
network ends in ten logits; here it ends in the latent z_s that C reads.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ygan_core.config import Config
from ygan_core.data.augment import seeded
from ygan_core.model import YGAN, dcgan_init
from ygan_core.scores import to_input
from ygan_study.methods.classifier import CLASSIFIER, Classifier, ClassifierNetwork
from ygan_study.methods.tuned import Tuned

# The published values, in proportion to batches of 128.
SPEED_RUN = dict(encoder="whitened", optimiser="nesterov", beta_1=0.85, lr_decay="triangular")
SPEED_RUN |= dict(batch_size=128, lr=0.1875, weight_decay=2.5e-4, label_smoothing=0.2)
STRONG = {**CLASSIFIER, **SPEED_RUN, "method": "strong"}
# To gradient descent the size of a loss matters, to Adam it does not, so the search for these began
# at the weights of `balanced` divided by 50.
WHITENED = dict(**SPEED_RUN, lambda_1=2.0, lambda_2=0.02, lambda_4=0.1, lambda_5=0.2)
WHITENED |= dict(consistency="labels")

SPEED = ("optimiser", "weight_decay", "lr_adam")  # settings of SpeedRun alone

PATCH = 2
SAMPLE = 2_000  # images whose patches are whitened
EPSILON = 5e-4  # added to each variance, so that directions with hardly any are not amplified
WIDENING = 4  # filters of the second and third block, as a multiple of the first block's
MOMENTUM = 0.4  # of the running statistics, as PyTorch counts it
NORM_BIASES = 64.0  # how much faster the biases of batch norms learn (arXiv 2404.00498)
HEAD = 1 / 64  # how much slower C and the layer before it learn: without it, C diverges
DCGAN_BETA_1 = 0.5  # of the Adam that trains E_r, D and Ds


class WhitenedEncoder(nn.Module):
    """E_s: x (B, channels, S, S) float32 in [-1, 1], S at least 32 -> z (B, d) float32.

    width: filters of the first block. mirrored: whether in eval mode z is the mean over an image
    and its mirror image. `whiten` has to be called once before training.
    """

    mirrored = False

    def __init__(self, channels: int, image_size: int, width: int, d: int):
        super().__init__()
        patches = channels * PATCH**2
        whitening = nn.Conv2d(channels, 2 * patches, PATCH, bias=False)
        whitening.weight.requires_grad_(False)
        layers, inputs = [whitening, nn.GELU()], 2 * patches
        for outputs in (width, WIDENING * width, WIDENING * width):
            layers += [_near_identity(inputs, outputs), nn.MaxPool2d(2)]
            layers += [_unscaled(outputs), nn.GELU()]
            layers += [_near_identity(outputs, outputs), _unscaled(outputs), nn.GELU()]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.to_latent = nn.Linear(inputs, d, bias=False)

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the first layer from the first 2,000 training images, uint8 (n, channels, S, S).

        Its filters are the principal directions of their patches, each divided by the standard
        deviation along it, and the same negated, so that a GELU passes both halves of every
        direction.
        """
        first = self.features[0]
        x = images[:SAMPLE].float() / 127.5  # the scale of the input; the mean is subtracted below
        patches = F.unfold(x, PATCH).transpose(1, 2).flatten(0, 1).double()
        patches -= patches.mean(dim=0)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (directions / (variances + EPSILON).sqrt()).T.reshape(-1, *first.weight.shape[1:])
        first.weight.copy_(torch.cat([filters, -filters]))

    def apply(self, function):
        """As nn.Module's; but `dcgan_init` leaves this encoder its own initial weights."""
        return self if function is dcgan_init else super().apply(function)

    def forward(self, x: Tensor) -> Tensor:
        if self.mirrored and not self.training:
            return (self.latent(x) + self.latent(x.flip(3))) / 2
        return self.latent(x)

    def latent(self, x: Tensor) -> Tensor:
        """z of images as they are."""
        z = self.to_latent(self.features(x).amax(dim=(2, 3)))
        return z.to(torch.promote_types(z.dtype, torch.float32))  # as in `ygan_core.model`


def _near_identity(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 x 3 convolution whose first filters pass the input on unchanged."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[:inputs].data)
    return layer


def _unscaled(channels: int) -> nn.BatchNorm2d:
    """A batch norm whose scale stays 1, since the next convolution can scale."""
    norm = nn.BatchNorm2d(channels, momentum=MOMENTUM)
    norm.weight.requires_grad_(False)
    return norm


class _Whitened:
    """A network whose E_s is a WhitenedEncoder, whose first layer and scales are not trained."""

    encoder = WhitenedEncoder

    def generator_parameters(self) -> list[nn.Parameter]:
        return [p for p in super().generator_parameters() if p.requires_grad]


class WhitenedYGAN(_Whitened, YGAN):
    """Y-GAN with a WhitenedEncoder as E_s."""


class WhitenedClassifier(_Whitened, ClassifierNetwork):
    """A WhitenedEncoder and C."""


class SpeedRun(Tuned):
    """Y-GAN trained with these means: E_s and C by gradient descent, the other networks by Adam.

    augmentation: `shifts` moves every training image by up to two pixels, `flips` also mirrors it.
    optimiser: nesterov, or adam for all networks. lr_adam: the learning rate of E_r, D and Ds.
    """

    network = WhitenedYGAN

    def __init__(self, config, images, *arguments, **options):
        super().__init__(config, images, *arguments, **options)
        self.model.E_s.whiten(images)

    @classmethod
    def networks(cls, config: Config, channels: int, classes: int) -> YGAN:
        c = config
        model = cls.network(channels, c.image_size, c.width, c.d, c.hidden, classes)
        model.E_s.mirrored = c.augmentation == "flips"
        return model

    def batches(self, order: Tensor) -> Iterator[Tensor]:
        """As in the base class, with half of the images mirrored where augmentation is `flips`."""
        found = super().batches(order)
        if self.config.augmentation != "flips":
            return found
        flips = alternating(len(self.images), self.config.seed, len(self.history))
        flips = flips[order].to(self.device)[..., None, None, None]
        return (
            torch.where(f, images.flip(3), images) for f, images in zip(flips, found, strict=True)
        )

    def batch_input(self, images: Tensor, number: int) -> Tensor:
        """As in the base class, with images shifted where augmentation is `shifts` or `flips`."""
        if self.config.augmentation in ("shifts", "flips"):
            images = shifted(images, self.config.seed * 2**32 + number)
        return to_input(images).contiguous(memory_format=torch.channels_last)

    def make_optimisers(self) -> list[torch.optim.Optimizer]:
        if self.config.optimiser == "adam":
            return super().make_optimisers()
        all_own = {*self.model.E_s.parameters(), *self.model.C.parameters()}
        own, others = [], []
        for parameter in self.model.generator_parameters():
            (own if parameter in all_own else others).append(parameter)
        by_adam = [part for part in (others, self.model.discriminator_parameters()) if part]
        adams = [self.adam(part, self.config.lr_adam, DCGAN_BETA_1) for part in by_adam]
        return [self.nesterov(own), *adams]

    def nesterov(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """Gradient descent with Nesterov momentum and weight decay."""
        c, factors = self.config, dict.fromkeys(parameters, 1.0)
        norms = (m for m in self.model.E_s.modules() if isinstance(m, nn.BatchNorm2d))
        factors |= {norm.bias: NORM_BIASES for norm in norms}
        head = [*self.model.C.parameters(), self.model.E_s.to_latent.weight]
        factors |= dict.fromkeys(head, HEAD)
        groups = []
        for factor in (1.0, NORM_BIASES, HEAD):
            group = {"params": [p for p in parameters if factors[p] == factor], "factor": factor}
            decay = c.weight_decay / c.lr / factor
            groups.append({**group, "lr": self.lr_value(c.lr), "weight_decay": decay})
        return torch.optim.SGD(groups, momentum=c.beta_1, nesterov=True, fused=True)


class Strong(SpeedRun, Classifier):
    """The strong classifier: a WhitenedEncoder and C, trained by L_s with these means."""

    network = WhitenedClassifier


def shifted(images: Tensor, seed: int, most: int = 2) -> Tensor:
    """Each image moved at random by up to `most` pixels each way: uint8 (B, C, S, S) -> the same.

    Beyond its edges an image is mirrored.
    """
    size = torch.arange(images.shape[-1])
    moves = torch.randint(2 * most + 1, (2, len(images), 1), generator=seeded(seed))
    down, right = (moves + size).to(images.device)
    # torch pads floating-point numbers only
    wide = F.pad(images.float(), (most,) * 4, mode="reflect").to(images.dtype)
    each = torch.arange(len(images), device=images.device)[:, None, None]
    return wide[each, :, down[:, :, None], right[:, None]].permute(0, 3, 1, 2)


def alternating(images: int, seed: int, epoch: int) -> Tensor:
    """Which images are mirrored in an epoch, bool (images,): a random half, then the other half.

    So any two epochs show each image both ways ("alternating flip").
    """
    half = torch.rand(images, generator=torch.Generator().manual_seed(seed)) < 0.5
    return half ^ bool(epoch % 2)
