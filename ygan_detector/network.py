"""Y-GAN, or its classifier alone, as the model of a detector: scores and heat maps.

Heat maps are not in the paper, which leaves them for later work. `lesions.py` measures which kind
finds a lesion.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from torchvision.transforms.functional import gaussian_blur

from ygan_core.checkpoints import checkpoints, epoch_of
from ygan_core.scores import BATCH, encode, s, to_input
from ygan_study.methods import train, trainer_of
from ygan_study.plan.settings import Settings

HEAT_MAPS = ("reconstruction", "hybrid", "uncertainty")
SIGMA = 1 / 32  # of the image's side, by which differences of single pixels are smoothed


class Network(nn.Module):
    """The networks of a recipe, and the mean residual latent of each normal class.

    networks: E_s and C, and for `balanced` also E_r, D and Ds; mean_z_r: (N, d), or (N, 0). All
    methods take x (B, C, S, S) in [-1, 1]; heat maps are (B, S, S), higher where an image is less
    like the normal ones.
    """

    def __init__(self, settings: Settings, channels: int, classes: int):
        super().__init__()
        self.networks = trainer_of(settings).build(settings, channels, classes)
        d = settings.d if hasattr(self.networks, "E_r") else 0
        self.register_buffer("mean_z_r", torch.zeros(classes, d))

    @property
    def heat_maps(self) -> tuple[str, ...]:
        """The kinds of heat map that the networks can make."""
        return HEAT_MAPS if hasattr(self.networks, "D") else ("uncertainty",)

    @property
    def best_heat_map(self) -> str:
        """The kind that finds lesions of leaves best, by `lesions.py`; `none` if none does."""
        return "reconstruction" if hasattr(self.networks, "D") else "none"

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The score s of Eq. 12, float64 (B,), and the class that C chooses, int64 (B,)."""
        return self.judge(self.latents(x))

    def judge(self, z_s: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` returns, from z_s (B, d)."""
        logits = self.networks.C(z_s)
        return s(logits), logits.argmax(dim=1)

    def latents(self, x: Tensor) -> Tensor:
        """z_s (B, d), by which images are compared."""
        return self.networks.encode_s(x)

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


def train_network(
    settings: Settings,
    pixels: Tensor,
    labels: Tensor,
    device: str,
    folder: Path | None = None,
    verbose: bool = True,
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
    batches = (to_input(part.to(device)) for part in pixels.split(BATCH))
    update_bn(batches, networks if hasattr(networks, "D") else networks.E_s)
    z_r = encode(networks, pixels).z_r
    model.mean_z_r = torch.stack([z_r[labels == c].mean(dim=0) for c in labels.unique()])
    return model.to(device).eval(), trainer.history
