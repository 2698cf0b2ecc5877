"""Where is it? Heat maps by three means: (n, S, S) float32, higher where an image is less like the normal ones.

Not in the paper, which leaves it for later work. Which of them finds a defect is measured in `localisation.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from ygan_core.model import YGAN
from ygan_core.scores import to_input

SIGMA = 1 / 32  # of the image's side: differences of single pixels are smoothed by it


def doubt(model: YGAN, x: Tensor, mean_z_r: Tensor | None = None) -> Tensor:
    """Grad-CAM of the doubt: where E_s saw what speaks against the class that C chose. x (B, C, S, S) in [-1, 1].

    Selvaraju et al. (2017) take the gradient of a class's logit. Here it is that of log(s / (1 - s)), s of Eq. 12, by the maps
    of E_s of 16 x 16 places, or of 8 x 8 at 32 px. mean_z_r is not looked at.
    """
    steps = (
        2 if x.shape[-1] > 32 else 1
    )  # halvings before the last, 4 x 4 map; one is a convolution, an activation, a batch norm
    layers = len(model.E_s.features) - 3 * steps
    with torch.enable_grad():
        maps = model.E_s.features[:layers](x).detach().requires_grad_()
        z_s = model.E_s.to_latent(model.E_s.features[layers:](maps)).flatten(1)[:, : model.d]
        logits = model.C(z_s).sort(dim=1).values
        (gradient,) = torch.autograd.grad(
            (logits[:, :-1].logsumexp(dim=1) - logits[:, -1]).sum(), maps
        )
    heat = (gradient.mean(dim=(2, 3), keepdim=True) * maps.detach()).sum(dim=1, keepdim=True).relu()
    return F.interpolate(heat, x.shape[-2:], mode="bilinear")[:, 0]


def reconstruction(model: YGAN, x: Tensor, mean_z_r: Tensor | None = None) -> Tensor:
    """What D does not give back: (x - D(z_s, z_r))^2, the mean over channels, smoothed. x (B, C, S, S) in [-1, 1]."""
    return _difference(x, model.D(*model.encode(x)))


def hybrid(model: YGAN, x: Tensor, mean_z_r: Tensor) -> Tensor:
    """What is left when the image's own residual is taken away: (x - D(z_s, mean z_r of its class))^2, smoothed.

    Its class is the one that C chooses. x (B, C, S, S) in [-1, 1]; mean_z_r (N, d), of the training images of each class.
    """
    z_s = model.encode_s(x)
    return _difference(x, model.D(z_s, mean_z_r.to(x.device)[model.C(z_s).argmax(dim=1)]))


def _difference(x: Tensor, other: Tensor) -> Tensor:
    return smoothed((x - other).square().mean(dim=1))


def smoothed(heat: Tensor) -> Tensor:
    """Heat maps (B, S, S), each place with its surroundings."""
    sigma = SIGMA * heat.shape[-1]
    kernel = 2 * round(3 * sigma) + 1
    return gaussian_blur(heat[:, None], kernel, sigma)[:, 0]


BEST = "reconstruction"  # on synthetic defects: see `localisation.py`
MEANS: dict[str, Callable[..., Tensor]] = {f.__name__: f for f in (doubt, reconstruction, hybrid)}


@torch.no_grad()
def heat_maps(
    means: str, model: YGAN, images: Tensor, mean_z_r: Tensor | None = None, batch_size: int = 64
) -> Tensor:
    """Heat maps of images, uint8 (n, C, S, S) -> float32 (n, S, S) on the CPU, by one of MEANS.

    Leaves the model in eval mode. Raises KeyError for other means, AttributeError where the model has no decoder and needs it.
    """
    model.eval()
    device, make = next(model.parameters()).device, MEANS[means]
    return torch.cat(
        [
            make(model, to_input(part.to(device)), mean_z_r).cpu()
            for part in images.split(batch_size)
        ]
    )
