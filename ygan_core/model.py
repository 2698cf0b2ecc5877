"""The five networks of Y-GAN: sections 3.1 and 4.3, Fig. 2.

x ──► E_s ──► z_s ──┬──────► C ──► class
  └─► E_r ──► z_r ──┴─► D ──► x_hat ──► Ds ──► real or reconstructed
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ygan_core.config import Config
from ygan_study.methods.whitened import WhitenedEncoder
from ygan_study.run.checksums import is_unchanged

RECORDS = (
    Path(__file__).resolve().parents[1] / "results" / "laptop" / "records"
)  # of the reference edition


def _hidden(convolution: nn.Module, activation: nn.Module) -> list[nn.Module]:
    """Convolution, activation, batch norm: the order of section 4.3 (DCGAN has the batch norm first)."""
    return [convolution, activation, nn.BatchNorm2d(convolution.out_channels)]


def _downward(channels: int, image_size: int, width: int) -> tuple[nn.Sequential, int]:
    """Stride-2 convolutions from the image to a 4 x 4 map, shared in shape by E_s, E_r and Ds: (layers, channels out)."""
    layers, inputs, outputs = [], channels, width
    while image_size > 4:
        layers += _hidden(
            nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(0.2)
        )
        image_size, inputs, outputs = image_size // 2, outputs, outputs * 2
    return nn.Sequential(*layers), inputs


def _full_precision(t: Tensor) -> Tensor:
    """float32, or float64 as it is: no loss is ever taken in bfloat16, whose steps near a cosine of 1 are 0.004."""
    return t.to(torch.promote_types(t.dtype, torch.float32))


class Encoder(nn.Module):
    """E_s or E_r (Eq. 1): x (B, channels, S, S) float32 in [-1, 1] -> z (B, d) float32."""

    def __init__(self, channels: int, image_size: int, width: int, d: int):
        super().__init__()
        self.features, out = _downward(channels, image_size, width)
        self.to_latent = nn.Conv2d(out, d, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return _full_precision(self.to_latent(self.features(x)).flatten(1))


ENCODERS = {"dcgan": Encoder, "whitened": WhitenedEncoder}  # the paper's; that of notebook 11


class Decoder(nn.Module):
    """D (Eq. 2): z = z_s (+) z_r (B, latent) -> x_hat (B, channels, S, S) float32 in (-1, 1)."""

    def __init__(self, channels: int, image_size: int, width: int, latent: int):
        super().__init__()
        steps = image_size.bit_length() - 3  # doublings from 4 x 4 to S x S
        filters = width * 2 ** (steps - 1)
        layers = _hidden(nn.ConvTranspose2d(latent, filters, 4, bias=False), nn.ReLU())
        for _ in range(steps - 1):
            layers += _hidden(
                nn.ConvTranspose2d(filters, filters // 2, 4, stride=2, padding=1, bias=False),
                nn.ReLU(),
            )
            filters //= 2
        layers += [
            nn.ConvTranspose2d(filters, channels, 4, stride=2, padding=1, bias=False),
            nn.Tanh(),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, z_s: Tensor, z_r: Tensor) -> Tensor:
        z = torch.cat([z_s, z_r], dim=1)
        return _full_precision(self.layers(z[:, :, None, None]))


class Discriminator(nn.Module):
    """Ds: x (B, channels, S, S) in [-1, 1] -> (logit (B,), f (B, 4 width, 4, 4) at S = 32).

    The sigmoid of section 4.3 is taken inside the loss (Eq. 5), where it does not overflow. f is the activation that Eq. 4
    compares: Ds's last 4 x 4 map, before its final convolution.
    """

    def __init__(self, channels: int, image_size: int, width: int):
        super().__init__()
        self.features, out = _downward(channels, image_size, width)
        self.to_logit = nn.Conv2d(out, 1, 4, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        f = self.features(x)
        return _full_precision(self.to_logit(f).flatten()), _full_precision(f)


class LatentClassifier(nn.Sequential):
    """C: z (B, d) -> logits (B, N) over the N normal sub-classes; one hidden layer (section 4.3). Always in full precision."""

    def __init__(self, d: int, hidden: int, classes: int):
        super().__init__(nn.Linear(d, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, classes))

    def forward(self, z: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            return super().forward(z)


class YGAN(nn.Module):
    """The Y-shaped auto-encoder (E_s, E_r, D), its latent classifier C and its discriminator Ds.

    channels: 1 or 3; image_size: S, a power of two; width: filters of the first convolution; d: length of z_s and of z_r;
    hidden: units of C's hidden layer; classes: N; latents: dual (the paper's), or of section 6.2's ablations split (B1: one
    encoder, its latent in R^2d cut in two; no E_r) or single (B2: one encoder, one latent in R^d; z_r is (B, 0)), or
    semantic (E_s and C alone: the Classifier control; z_r is (B, 0); no E_r, D, Ds).

    Not the paper's (notebook 11): encoder: of E_s, a key of ENCODERS; mirrored: whether in eval mode z_s is the mean of an
    image's and of its mirror image's.
    """

    def __init__(
        self,
        channels: int,
        image_size: int,
        width: int,
        d: int,
        hidden: int,
        classes: int,
        latents: str = "dual",
        encoder: str = "dcgan",
        mirrored: bool = False,
    ):
        super().__init__()
        self.latents, self.d, self.mirrored = latents, d, mirrored
        self.E_s = ENCODERS[encoder](
            channels, image_size, width, 2 * d if latents == "split" else d
        )
        if latents == "dual":
            self.E_r = Encoder(channels, image_size, width, d)
        if latents != "semantic":
            self.D = Decoder(channels, image_size, width, d if latents == "single" else 2 * d)
        self.C = LatentClassifier(d, hidden, classes)
        if latents != "semantic":
            self.Ds = Discriminator(channels, image_size, width)
        for part in self.children():
            if not isinstance(part, WhitenedEncoder):
                part.apply(dcgan_init)

    @classmethod
    def of(cls, config: Config, channels: int, classes: int) -> YGAN:
        """The networks of a configuration."""
        c = config
        return cls(
            channels,
            c.image_size,
            c.width,
            c.d,
            c.hidden,
            classes,
            c.latents,
            c.encoder,
            mirrored=c.augmentation == "flips",
        )

    def whiten(self, images: Tensor) -> None:
        """Set the first layers that whiten patches, where there are any, from training images, uint8 (n, channels, S, S)."""
        for part in self.children():
            if isinstance(part, WhitenedEncoder):
                part.whiten(images)

    @classmethod
    def from_pretrained(cls, name: str) -> YGAN:
        """Networks that come with the repository, such as cifar10-4-balanced: on the CPU, float32, in eval mode.

        name: dataset, class held out, configuration; cifar10-4-paper is of the paper's own width and length. They are trained
        by the reference edition (results/laptop); their convolutions were kept in half precision. Raises ValueError for a name
        that is not there, or a file that was changed.
        """
        files = {
            file.parent.name.rpartition("-s0-")[0]: file
            for file in RECORDS.glob("*-s0-*/*.safetensors")
        }
        if name not in files:
            raise ValueError(
                f"no networks {name!r} in {RECORDS}: there are {', '.join(sorted(files)) or 'none'}"
            )
        if not is_unchanged(files[name].parent, files[name].name, "config.json"):
            raise ValueError(
                f"{files[name]} was changed: restore it with git checkout -- {RECORDS}"
            )
        c = Config(**json.loads(files[name].with_name("config.json").read_text()))
        state = {
            key: t.float() if t.is_floating_point() else t
            for key, t in load_file(files[name]).items()
        }
        model = cls.of(c, state["E_s.features.0.weight"].shape[1], len(state["C.2.bias"]))
        model.load_state_dict(state)
        return model.eval()

    def generator_parameters(self) -> list[nn.Parameter]:
        """What Eq. 10 trains: the auto-encoder and C."""
        parts = (part for name, part in self.named_children() if name != "Ds")
        return [p for part in parts for p in part.parameters() if p.requires_grad]

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """What Eq. 11 trains: Ds."""
        return [
            p for name, part in self.named_children() if name == "Ds" for p in part.parameters()
        ]

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 1: x (B, channels, S, S) in [-1, 1] -> z_s (B, d), z_r (B, d), or (B, 0) where there is no residual latent."""
        z_s = self._E_s(x)
        if self.latents == "dual":
            return z_s, self.E_r(x)
        return z_s[:, : self.d], z_s[:, self.d :]

    def encode_s(self, x: Tensor) -> Tensor:
        """z_s alone, all that Eq. 9 and Eq. 12 need: x as for `encode` -> (B, d)."""
        return self._E_s(x)[:, : self.d]

    def _E_s(self, x: Tensor) -> Tensor:
        if self.mirrored and not self.training:
            return (self.E_s(x) + self.E_s(x.flip(3))) / 2
        return self.E_s(x)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """x (B, channels, S, S) in [-1, 1] -> z_s, z_r as `encode`, x_hat like x, logits C(z_s) (B, N)."""
        z_s, z_r = self.encode(x)
        return z_s, z_r, self.D(z_s, z_r), self.C(z_s)


def dcgan_init(module: nn.Module) -> None:
    """DCGAN's initial weights: N(0, 0.02) for convolutions, N(1, 0.02) for batch norms; C keeps PyTorch's own."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


@contextmanager
def running_statistics_untouched(*networks: nn.Module):
    """Inside, batch norms normalise by the batch as ever in training, but leave their running statistics alone.

    Hybrid images (Eq. 9) pass through D and E_s too, yet no test image is a hybrid: let into the running statistics, they
    spoil the scores of real images.
    """
    norms = [m for network in networks for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
