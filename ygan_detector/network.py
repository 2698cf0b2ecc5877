"""Y-GAN, or its classifier alone, as the model of a detector: scores and heat maps.

Heat maps are not in the paper, which leaves them for later work. `lesions.py` measures which kind
finds a lesion.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from torchvision.transforms.functional import gaussian_blur
from tqdm.auto import tqdm

from ygan_core import scores
from ygan_core.checkpoints import checkpoints, epoch_of
from ygan_core.scores import s, to_input
from ygan_study.engine.precision import convolutions_in
from ygan_study.methods import train, trainer_of
from ygan_study.plan.settings import Settings

BATCH, SHORT = 64, 4  # images at a time; so many batches are quick
SIGMA = 1 / 32  # of the image's side, by which differences of single pixels are smoothed
HEAT_MAPS = {
    "balanced": ("reconstruction", "hybrid", "uncertainty"),
    "classifier": ("uncertainty",),
}


class Model(nn.Module):
    """Scores and heat maps of images, by a subclass.

    A subclass has `latents(x)`, (B, F), by which images are compared; `judge(latents)`, what
    `forward` returns; and a method for each kind of heat map in `heat_maps`, (B, S, S), higher
    where an image is less like the normal ones. All take x (B, C, S, S) in [-1, 1].
    `best_heat_map` is the kind that finds lesions of leaves best, by `lesions.py`, or `none`.
    """

    heat_maps: tuple[str, ...]
    best_heat_map: str

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The score, float64 (B,), and the most similar class, int64 (B,)."""
        return self.judge(self.latents(x))

    def encode(self, pixels: Tensor, verbose: bool = False) -> Tensor:
        """The latents of images, uint8 (n, C, S, S) -> (n, F), on the CPU."""
        return self._in_batches(lambda part: self.latents(to_input(part)), pixels, verbose)

    def scores_and_classes(self, latents: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Float64 (n,) and int64 (n,), from the latents."""
        found = self._in_batches(lambda part: torch.stack(self.judge(part), dim=1), latents)
        return found[:, 0].numpy(), found[:, 1].long().numpy()

    def heat(self, kind: str, pixels: Tensor, verbose: bool = False) -> Tensor:
        """Heat maps of images, uint8 (n, C, S, S) -> (n, S, S), on the CPU."""
        function = getattr(self, kind)
        return self._in_batches(lambda part: function(to_input(part)), pixels, verbose)

    @torch.no_grad()
    def _in_batches(
        self, function: Callable[[Tensor], Tensor], given: Tensor, verbose: bool = False
    ) -> Tensor:
        device, parts = next(self.parameters()).device, given.split(BATCH)
        quiet = None if verbose and len(parts) > SHORT else True
        with convolutions_in("float32"):
            bar = tqdm(parts, desc="computing", unit=" batch", disable=quiet)
            return torch.cat([function(part.to(device)).cpu() for part in bar])


def grad_cam(maps: Tensor, score: Callable[[Tensor], Tensor], side: int) -> Tensor:
    """Where feature maps (B, F, H, W) raise a score (Selvaraju et al., 2017): (B, side, side)."""
    maps = maps.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(score(maps).sum(), maps)
    heat = (gradient.mean(dim=(2, 3), keepdim=True) * maps.detach()).sum(dim=1, keepdim=True)
    return F.interpolate(heat.relu(), (side, side), mode="bilinear")[:, 0]


def smooth(heat: Tensor) -> Tensor:
    """Average each place of heat maps (B, S, S) with its surroundings."""
    sigma = SIGMA * heat.shape[-1]
    return gaussian_blur(heat[:, None], 2 * round(3 * sigma) + 1, sigma)[:, 0]


class Network(Model):
    """The networks of a recipe, and the mean residual latent of each normal class.

    networks: E_s and C, and for `balanced` also E_r, D and Ds; mean_z_r: (N, d), or (N, 0). The
    score is s of Eq. 12, the class the one that C chooses.
    """

    def __init__(self, settings: Settings, channels: int, classes: int):
        super().__init__()
        self.networks = trainer_of(settings).build(settings, channels, classes)
        d = settings.d if self.has_decoder else 0
        self.register_buffer("mean_z_r", torch.zeros(classes, d))

    @property
    def has_decoder(self) -> bool:
        return hasattr(self.networks, "D")

    @property
    def heat_maps(self) -> tuple[str, ...]:
        return HEAT_MAPS["balanced" if self.has_decoder else "classifier"]

    @property
    def best_heat_map(self) -> str:
        return "reconstruction" if self.has_decoder else "none"

    def latents(self, x: Tensor) -> Tensor:
        """z_s (B, d)."""
        return self.networks.encode_s(x)

    def judge(self, z_s: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.networks.C(z_s)
        return s(logits), logits.argmax(dim=1)

    def reconstruction(self, x: Tensor) -> Tensor:
        """What D does not reproduce: (x - D(z_s, z_r))^2, smoothed."""
        return smooth((x - self.networks.D(*self.networks.encode(x))).square().mean(dim=1))

    def hybrid(self, x: Tensor) -> Tensor:
        """What remains without the image's own residual: (x - D(z_s, z_r))^2, smoothed.

        z_r is the mean over the training images of the class that C chooses.
        """
        z_s = self.latents(x)
        z_r = self.mean_z_r[self.networks.C(z_s).argmax(dim=1)]
        return smooth((x - self.networks.D(z_s, z_r)).square().mean(dim=1))

    def uncertainty(self, x: Tensor) -> Tensor:
        """Grad-CAM of the uncertainty s: what E_s saw that speaks against the class C chose.

        The gradient is that of log(s / (1 - s)), s of Eq. 12, with respect to the feature maps of
        E_s of 16 x 16 places, or of 8 x 8 for images of 32 px.
        """
        E_s, C = self.networks.E_s, self.networks.C
        halvings = 2 if x.shape[-1] > 32 else 1  # of three layers, before the last map of 4 x 4
        split = len(E_s.features) - 3 * halvings

        def log_odds(maps: Tensor) -> Tensor:
            logits = C(E_s.to_latent(E_s.features[split:](maps)).flatten(1)).sort(dim=1).values
            return logits[:, :-1].logsumexp(dim=1) - logits[:, -1]

        return grad_cam(E_s.features[:split](x), log_odds, x.shape[-1])


def train_network(
    settings: Settings,
    pixels: Tensor,
    labels: Tensor,
    device: str,
    folder: Path | None,
    verbose: bool,
) -> tuple[Network, list[dict[str, float]]]:
    """A Network with the averaged weights, and the losses of each epoch.

    The running statistics of batch norms are estimated again, with these weights.

    pixels: uint8 (n, C, S, S); labels: int64 (n,) in [0, N); folder: of checkpoints.
    """
    if verbose and folder and (found := checkpoints(folder)):
        print(f"going on at epoch {epoch_of(found[-1]) + 1}", flush=True)
    title = "training" if verbose else None
    trainer = train(settings, pixels, labels, folder, device, title=title)
    model = Network(settings, pixels.shape[1], int(labels.max()) + 1)
    model.networks = networks = trainer.averaged.module
    # After a short training the averaged statistics are still those of the first weights, which are
    # quite different: README.md has the numbers.
    batches = (to_input(part.to(device)) for part in pixels.split(scores.BATCH))
    update_bn(batches, networks if model.has_decoder else networks.E_s)
    z_r = scores.encode(networks, pixels).z_r
    model.mean_z_r = torch.stack([z_r[labels == c].mean(dim=0) for c in labels.unique()])
    return model.to(device).eval(), trainer.history
