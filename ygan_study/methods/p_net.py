"""P-Net: Zhou, Xiao, Yang, Cheng, Liu, Luo, Gu, Liu and Gao, "Encoding structure-texture relation
with P-Net for anomaly detection in retinal images" (ECCV 2020).

The structure S of an image is extracted. The image is rebuilt from S (by a U-Net, with skip
connections) and from its own lowest map (its texture, without). The structure of the rebuilt image
has to be S again. Score: 0.2 image error + 0.8 structure error.

From the paper: these parts and the weights of losses and score. Adapted: in retinal images S is
the vessels or layers, found by a network trained on labels; for objects the paper takes edges. Here
S is an edge map that passes gradients: Sobel, and a ramp between the two thresholds of Canny's
detector; no smoothing, since its sigma of 1 px at 224 px is 0.14 px at 32, and no thinning. The
discriminator is Y-GAN's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ygan_core.losses import L_bce
from ygan_core.model import Discriminator
from ygan_study.methods.baseline import Baseline, Schedule, descend
from ygan_study.methods.unet import Contracting, Expanding

LAMBDA_ADV, LAMBDA_PIXEL, LAMBDA_STRUCTURE = 0.1, 1.0, 0.5
LAMBDA_F = 0.8  # the share of the structure error in the score
LEARNING_RATE = 1e-3  # this and the rest of Adam as in the authors' code; that of Ds is a tenth
ADAM = dict(betas=(0.1, 0.9), weight_decay=1e-4)
WEAK, STRONG = 0.1, 0.2  # of the step from black to white: the usual thresholds of Canny's detector


def structure(x: Tensor) -> Tensor:
    """The edges of an image, the strongest over its channels, differentiable.

    x: (B, C, S, S) in [-1, 1] -> (B, 1, S, S) in [0, 1].
    """
    # divided by 8, so that a step from -1 to 1 gives 1
    across = x.new_tensor([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    kernels = torch.stack([across, across.T])[:, None]
    planes = F.pad(x, (1, 1, 1, 1), mode="replicate").flatten(0, 1)[:, None]
    # the root has no slope at 0
    steepness = (F.conv2d(planes, kernels).square().sum(dim=1) + 1e-12).sqrt()
    edges = ((steepness - WEAK) / (STRONG - WEAK)).clamp(0, 1)
    return edges.unflatten(0, x.shape[:2]).amax(dim=1, keepdim=True)


class PNet(Baseline):
    """An image rebuilt from its structure and texture, and compared in pixels and structure."""

    title, kind = "P-Net", "RB"
    authors = Schedule(800 * 224, "YutingXiao/P-Net_Mvtec_AD: n_epochs 800, the cables of MVTec AD")

    def prepare(self, images: Tensor) -> None:
        width, channels = self.config.width, images.shape[1]
        self.structure_encoder = Contracting(1, width)
        self.texture_encoder = Contracting(channels, width)
        self.decoder = Expanding(16 * width, channels, width, skips=(8, 4, 2))
        self.Ds = Discriminator(channels, images.shape[-1], width)
        G = nn.ModuleList([self.structure_encoder, self.texture_encoder, self.decoder])
        self.optimisers = {
            "G": torch.optim.Adam(G.parameters(), LEARNING_RATE, **ADAM),
            "Ds": torch.optim.Adam(self.Ds.parameters(), LEARNING_RATE / 10, **ADAM),
        }

    def rebuild(self, x: Tensor, s: Tensor) -> Tensor:
        """Image x (B, C, S, S) and its structure s (B, 1, S, S) -> x_hat like x."""
        # as in the paper, the U-Net has no skip at the size of the image itself
        _, *skips, lowest = self.structure_encoder(s)
        texture = self.texture_encoder(x)[-1]
        return self.decoder(torch.cat([lowest, texture], dim=1), skips[::-1])

    def errors(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x (B, C, S, S) -> x_hat like x, image error (B,) and structure error (B,) in [0, 1]."""
        s = structure(x)
        x_hat = self.rebuild(x, s)
        pixel = (x - x_hat).abs().mean(dim=(1, 2, 3)) / 2
        return x_hat, pixel, (s - structure(x_hat)).abs().mean(dim=(1, 2, 3))

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        x_hat, *errors = self.errors(x)
        pixel, edges = (error.mean() for error in errors)
        adversarial = F.softplus(-self.Ds(x_hat)[0]).mean()
        loss = LAMBDA_ADV * adversarial + LAMBDA_PIXEL * pixel + LAMBDA_STRUCTURE * edges
        descend(self.optimisers["G"], loss)
        bce = L_bce(self.Ds(x)[0], self.Ds(x_hat.detach())[0])
        descend(self.optimisers["Ds"], bce)
        return {"L_pixel": pixel, "L_structure": edges, "L_adv": adversarial, "L_bce": bce}

    def score_batch(self, x: Tensor) -> Tensor:
        _, pixel, edges = self.errors(x)
        return (1 - LAMBDA_F) * pixel + LAMBDA_F * edges
