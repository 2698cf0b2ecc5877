"""P-Net: Zhou, Xiao, Yang, Cheng, Liu, Luo, Gu, Liu and Gao, "Encoding structure-texture relation with P-Net for anomaly
detection in retinal images" (ECCV 2020).

The structure S of an image is extracted; the image is rebuilt from S (a U-Net, with skip connections) and from the image's own
lowest map (its texture, no skips); the structure of the rebuilt image must be S again. Score: 0.2 image error + 0.8 structure
error. From the paper: these parts, the weights of its losses and of its score. Adapted: in retinal images S is the vessels or
layers, found by a network trained with their labels; for objects the paper takes edges. Here S is an edge map that gradients
can pass: Sobel, and in place of Canny's double threshold a ramp between the two; no smoothing, since Canny's sigma of 1 px at
224 px is 0.14 px at 32, and no thinning. The discriminator is the one of Y-GAN.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ygan_core.losses import L_bce
from ygan_core.model import Discriminator
from ygan_study.methods.rival import Baseline, descend
from ygan_study.methods.unet import Contracting, Expanding

LAMBDA_ADV, LAMBDA_PIXEL, LAMBDA_STRUCTURE = 0.1, 1.0, 0.5
LAMBDA_F = 0.8  # the share of the structure error in the score
ADAM = dict(
    lr=1e-3, betas=(0.1, 0.9), weight_decay=1e-4
)  # the authors' code; Ds learns ten times slower
WEAK, STRONG = 0.1, 0.2  # of the step from black to white: the usual thresholds of Canny's detector


def structure(x: Tensor) -> Tensor:
    """Edges, the strongest over the channels: x (B, C, S, S) in [-1, 1] -> (B, 1, S, S) in [0, 1], differentiable."""
    across = (
        x.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    )  # so that a step from -1 to 1 gives 1
    kernels = torch.stack([across, across.T])[:, None]
    planes = F.pad(x, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None]
    steepness = (
        F.conv2d(planes, kernels).square().sum(dim=1) + 1e-12
    ).sqrt()  # the root has no slope at 0
    edges = ((steepness - WEAK) / (STRONG - WEAK)).clamp(0, 1)
    return edges.unflatten(0, x.shape[:2]).amax(dim=1, keepdim=True)


class PNet(Baseline):
    """Score: 0.2 of the mean absolute image difference and 0.8 of the structure difference, both on a scale of 0 to 1."""

    title, kind = "P-Net", "RB"

    def prepare(self, images: Tensor) -> None:
        width, channels = self.config.width, images.shape[1]
        self.structure_encoder = Contracting(1, width)
        self.texture_encoder = Contracting(channels, width)
        self.decoder = Expanding(16 * width, channels, width, skips=(8, 4, 2))
        self.Ds = Discriminator(channels, images.shape[-1], width)
        parts = (self.structure_encoder, self.texture_encoder, self.decoder)
        self.optimisers = {
            "G": torch.optim.Adam(
                [weight for part in parts for weight in part.parameters()], **ADAM
            ),
            "Ds": torch.optim.Adam(self.Ds.parameters(), **{**ADAM, "lr": ADAM["lr"] / 10}),
        }

    def rebuild(self, x: Tensor, s: Tensor) -> Tensor:
        """Image x (B, C, S, S) and its structure s (B, 1, S, S) -> x_hat like x."""
        _, *skips, lowest = self.structure_encoder(
            s
        )  # at the image's own size the authors have no skip
        texture = self.texture_encoder(x)[-1]
        return self.decoder(torch.cat([lowest, texture], dim=1), skips[::-1])

    def errors(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, C, S, S) -> x_hat like x, image error (B,) and structure error (B,), both in [0, 1]."""
        s = structure(x)
        x_hat = self.rebuild(x, s)
        return (
            x_hat,
            (x - x_hat).abs().mean(dim=(1, 2, 3)) / 2,
            (s - structure(x_hat)).abs().mean(dim=(1, 2, 3)),
        )

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        x_hat, pixel, edges = self.errors(x)
        adversarial = F.softplus(-self.Ds(x_hat)[0]).mean()
        loss = (
            LAMBDA_ADV * adversarial + LAMBDA_PIXEL * pixel.mean() + LAMBDA_STRUCTURE * edges.mean()
        )
        descend(self.optimisers["G"], loss)
        real_or_rebuilt = L_bce(self.Ds(x)[0], self.Ds(x_hat.detach())[0])
        descend(self.optimisers["Ds"], real_or_rebuilt)
        return {
            "L_pixel": pixel.mean(),
            "L_structure": edges.mean(),
            "L_adv": adversarial,
            "L_bce": real_or_rebuilt,
        }

    def score_batch(self, x: Tensor) -> Tensor:
        _, pixel, edges = self.errors(x)
        return (1 - LAMBDA_F) * pixel + LAMBDA_F * edges
