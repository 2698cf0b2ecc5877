"""The five networks of Y-GAN: sections 3.1 and 4.3, Fig. 2.

x ──► E_s ──► z_s ──┬──► C ──► class; C also reads R(z_r), whose gradient is reversed (Eq. 8)
  └─► E_r ──► z_r ──┴──► D ──► x_hat ──► Ds ──► real or reconstructed
"""

from contextlib import contextmanager

import torch
from torch import Tensor, nn


def _hidden(convolution: nn.Module, activation: nn.Module) -> list[nn.Module]:
    """Convolution, activation, batch norm: the order of section 4.3, which is not DCGAN's."""
    return [convolution, activation, nn.BatchNorm2d(convolution.out_channels)]


def _downward(channels: int, image_size: int, width: int) -> tuple[nn.Sequential, int]:
    """Stride-2 convolutions from the image to a 4 x 4 map, and the number of its channels."""
    layers, inputs, outputs = [], channels, width
    while image_size > 4:
        convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        layers += _hidden(convolution, nn.LeakyReLU(0.2))
        image_size, inputs, outputs = image_size // 2, outputs, outputs * 2
    return nn.Sequential(*layers), inputs


def _full_precision(t: Tensor) -> Tensor:
    """At least float32, so that losses and scores are exact where convolutions run in bfloat16."""
    return t.to(torch.promote_types(t.dtype, torch.float32))


class Encoder(nn.Module):
    """E_s or E_r (Eq. 1): x (B, channels, S, S) float32 in [-1, 1] -> z (B, d) float32."""

    def __init__(self, channels: int, image_size: int, width: int, d: int):
        super().__init__()
        self.features, out = _downward(channels, image_size, width)
        self.to_latent = nn.Conv2d(out, d, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return _full_precision(self.to_latent(self.features(x)).flatten(1))


class Decoder(nn.Module):
    """D (Eq. 2): z = z_s (+) z_r (B, latent) -> x_hat (B, channels, S, S) float32 in (-1, 1)."""

    def __init__(self, channels: int, image_size: int, width: int, latent: int):
        super().__init__()
        steps = image_size.bit_length() - 3  # doublings from 4 x 4 to S x S
        filters = width * 2 ** (steps - 1)
        layers = _hidden(nn.ConvTranspose2d(latent, filters, 4, bias=False), nn.ReLU())
        for _ in range(steps - 1):
            upward = nn.ConvTranspose2d(filters, filters // 2, 4, stride=2, padding=1, bias=False)
            layers += _hidden(upward, nn.ReLU())
            filters //= 2
        last = nn.ConvTranspose2d(filters, channels, 4, stride=2, padding=1, bias=False)
        self.layers = nn.Sequential(*layers, last, nn.Tanh())

    def forward(self, z_s: Tensor, z_r: Tensor) -> Tensor:
        z = torch.cat([z_s, z_r], dim=1)
        return _full_precision(self.layers(z[:, :, None, None]))


class Discriminator(nn.Module):
    """Ds: x (B, channels, S, S) in [-1, 1] -> (logit (B,), f (B, 4 width, 4, 4) at S = 32).

    The sigmoid of section 4.3 is taken inside the loss (Eq. 5), where it does not overflow. f is
    what Eq. 4 compares. The paper says "the last convolutional layer", which is read here as the
    last hidden one, a 4 x 4 map, because the final convolution gives nothing but the logit.
    """

    def __init__(self, channels: int, image_size: int, width: int):
        super().__init__()
        self.features, out = _downward(channels, image_size, width)
        self.to_logit = nn.Conv2d(out, 1, 4, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        f = self.features(x)
        return _full_precision(self.to_logit(f).flatten()), _full_precision(f)


class LatentClassifier(nn.Sequential):
    """C: z (B, d) -> logits (B, N) over the normal sub-classes; one hidden layer (section 4.3)."""

    def __init__(self, d: int, hidden: int, classes: int):
        super().__init__(nn.Linear(d, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, classes))

    def forward(self, z: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):  # always in full precision
            return super().forward(z)


class YGAN(nn.Module):
    """The Y-shaped auto-encoder (E_s, E_r, D), its latent classifier C and its discriminator Ds.

    channels: 1 or 3; image_size: S, a power of two; width: filters of the first convolution; d:
    length of z_s and of z_r; hidden: units of the hidden layer of C; classes: N; latents: dual, or
    an ablation of section 6.2: split (B1: one encoder, whose latent in R^2d is cut in two; no E_r)
    or single (B2, B3: one encoder and one latent in R^d; z_r is (B, 0)).
    """

    encoder = Encoder  # of E_s

    def __init__(
        self,
        channels: int,
        image_size: int,
        width: int,
        d: int,
        hidden: int,
        classes: int,
        latents: str = "dual",
    ):
        super().__init__()
        self.latents, self.d = latents, d
        self.E_s = self.encoder(channels, image_size, width, 2 * d if latents == "split" else d)
        if latents == "dual":
            self.E_r = Encoder(channels, image_size, width, d)
        self.D = Decoder(channels, image_size, width, d if latents == "single" else 2 * d)
        self.C = LatentClassifier(d, hidden, classes)
        self.Ds = Discriminator(channels, image_size, width)
        self.apply(dcgan_init)

    def generator_parameters(self) -> list[nn.Parameter]:
        """What Eq. 10 trains: the auto-encoder and C."""
        return [p for name, p in self.named_parameters() if not name.startswith("Ds.")]

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What Eq. 11 trains: Ds."""
        return list(self.Ds.parameters())

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 1: x (B, channels, S, S) in [-1, 1] -> z_s (B, d), z_r (B, d); see the class."""
        z = self.E_s(x)
        return (z, self.E_r(x)) if self.latents == "dual" else (z[:, : self.d], z[:, self.d :])

    def encode_s(self, x: Tensor) -> Tensor:
        """z_s alone, all that Eq. 12 and the hybrids of Eq. 9 need: x as for `encode` -> (B, d)."""
        return self.E_s(x)[:, : self.d]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x (B, channels, S, S) in [-1, 1] -> z_s, z_r as `encode`, x_hat like x, C(z_s) (B, N)."""
        z_s, z_r = self.encode(x)
        return z_s, z_r, self.D(z_s, z_r), self.C(z_s)


def dcgan_init(module: nn.Module) -> None:
    """DCGAN's initial weights: N(0, 0.02) for convolutions, N(1, 0.02) for batch norms."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


@contextmanager
def running_statistics_untouched(*networks: nn.Module):
    """Inside, batch norms use the statistics of the batch without updating the running ones.

    Hybrid images (Eq. 9) pass through D and E_s too, yet no test image is a hybrid: counted in the
    running statistics, they spoil the scores of real images.
    """
    norms = [m for network in networks for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
