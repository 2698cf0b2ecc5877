"""Patch SVDD: Yi and Yoon, "Patch SVDD: patch-level SVDD for anomaly detection and segmentation" (ACCV 2020).

A patch encoder learns to map neighbouring patches close together, and to tell from two embeddings where one patch lies from the
other (one of 8 directions). A patch's anomaly is its distance to the nearest patch of normal images; each pixel takes the mean
over the patches that hold it, the maps of both patch sizes are multiplied, and the score is the largest value.
From the paper: patches of 1/4 and 1/8 of the image's side (64 and 32 at 256 px), the large one encoded from its four quarters,
embeddings of 64, Adam 1e-4, colour jitter; lambda 1e-3 is the authors' command. Adapted: 8 and 4 px at 32 px (16 and 8 at 64),
with fewer layers; neighbours lie one pixel apart at both sizes; partners are drawn inside the image instead of being clipped to
it; the normal patches searched are a seeded sample of 2,000 a size, since all of them (50 million in 50,000 images) take days.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ygan_core.scores import to_input
from ygan_study.methods.knn import nearest
from ygan_study.methods.rival import BATCH, Baseline, descend

EMBEDDING = 64
LAMBDA = 1e-3  # of the neighbours' loss beside the position's; with 1 all embeddings become one
JITTER = 0.02  # std of the shift of a patch's channels and of its noise, against telling positions from colour alone
BANK = 2_000  # normal patches of each size
DIRECTIONS = torch.tensor([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j])


def patch_encoder(channels: int, size: int, width: int) -> nn.Sequential:
    """Maps each patch of size x size to an embedding: (B, channels, S, S) -> (B, 64, S - size + 1, S - size + 1) in (-1, 1)."""
    layers: list[nn.Module] = []
    for _ in range(size // 2 - 1):  # each takes two pixels off a patch's side, and leaves 2 x 2
        layers += [nn.Conv2d(channels, width, 3), nn.LeakyReLU(0.1)]
        channels = width
    return nn.Sequential(*layers, nn.Conv2d(channels, EMBEDDING, 2), nn.Tanh())


def quarters_encoder(size: int, width: int) -> nn.Sequential:
    """Embeds patches of twice the size from the embeddings of their four quarters, which lie `size` apart."""
    return nn.Sequential(
        nn.Conv2d(EMBEDDING, width, 2, dilation=size),
        nn.LeakyReLU(0.1),
        nn.Conv2d(width, EMBEDDING, 1),
        nn.Tanh(),
    )


def pairs(x: Tensor, size: int, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Two patches of each image, the second `offset` away from the first, drawn anywhere that both fit.

    x (B, C, S, S), offset (B, 2) in rows and columns -> twice (B, C, size, size).
    """
    lowest = (-offset).clamp(min=0)
    highest = x.shape[-1] - size - offset.clamp(min=0)
    corner = lowest + (torch.rand(offset.shape) * (highest - lowest + 1)).long()
    patches, image = x.unfold(2, size, 1).unfold(3, size, 1), torch.arange(len(x))
    first, second = (
        patches[image, :, rows, columns] for rows, columns in (corner.T, (corner + offset).T)
    )
    return first, second


class PatchSVDD(Baseline):
    """Score: the largest product, over the pixels, of the distances at both patch sizes."""

    title, kind = "Patch SVDD", "PT"

    def prepare(self, images: Tensor) -> None:
        self.size, width = images.shape[-1] // 8, 2 * self.config.width
        self.small = patch_encoder(images.shape[1], self.size, width)
        self.quarters = quarters_encoder(self.size, width)
        self.position = nn.ModuleList(
            nn.Sequential(
                nn.Linear(EMBEDDING, width),
                nn.LeakyReLU(0.1),
                nn.Linear(width, width),
                nn.LeakyReLU(0.1),
                nn.Linear(width, 8),
            )
            for _ in range(2)
        )
        self.optimisers = {"adam": torch.optim.Adam(self.parameters(), lr=1e-4)}

    @property
    def scales(self) -> list[tuple[str, nn.Module, int]]:
        """Name, encoder and patch size of each scale."""
        return [
            ("small", self.small, self.size),
            ("large", nn.Sequential(self.small, self.quarters), 2 * self.size),
        ]

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        n, terms = len(x), {"L_svdd": 0, "L_position": 0}
        for (_, encoder, size), classifier in zip(self.scales, self.position, strict=True):
            close = pairs(x, size, DIRECTIONS[torch.randint(8, (n,))])
            direction = torch.randint(8, (n,))
            reach = 3 * size // 4 + torch.randint(size // 4, (n, 2))
            apart = [
                patch + self._jitter(patch)
                for patch in pairs(x, size, DIRECTIONS[direction] * reach)
            ]
            h = encoder(torch.cat([*close, *apart])).flatten(1).split(n)
            terms["L_svdd"] = terms["L_svdd"] + (h[0] - h[1]).norm(dim=1).mean()
            terms["L_position"] = terms["L_position"] + F.cross_entropy(
                classifier(h[2] - h[3]), direction.to(x.device)
            )
        descend(self.optimisers["adam"], terms["L_position"] + LAMBDA * terms["L_svdd"])
        return terms

    @staticmethod
    def _jitter(patch: Tensor) -> Tensor:
        # drawn on the CPU, whose random state the checkpoints hold
        return (JITTER * (torch.randn(*patch.shape[:2], 1, 1) + torch.randn(patch.shape))).to(
            patch.device
        )

    def embed(self, x: Tensor, encoder: nn.Module, size: int) -> Tensor:
        """Embeddings of the patches a quarter of their size apart: (B, C, S, S) -> (B, rows, columns, 64)."""
        stride = size // 4
        return encoder(x)[:, :, ::stride, ::stride].permute(0, 2, 3, 1)

    def finish(self, images: Tensor) -> None:
        random = torch.Generator().manual_seed(self.config.seed)
        chosen = images[torch.randperm(len(images), generator=random)[:BANK]]
        for name, encoder, size in self.scales:
            bank = []
            for part in chosen.split(BATCH):
                h = self.embed(to_input(part.to(self.device)), encoder, size).flatten(1, 2)
                taken = (
                    torch.rand(h.shape[:2], generator=random)
                    .argsort(dim=1)[:, : -(-BANK // len(chosen))]
                    .to(self.device)
                )
                bank.append(h.gather(1, taken[:, :, None].expand(-1, -1, EMBEDDING)).flatten(0, 1))
            self.register_buffer(f"bank_{name}", torch.cat(bank)[:BANK], persistent=False)

    def anomaly_map(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) -> (B, S, S), the product over both sizes of the distances to the nearest normal patches."""
        product = 1
        for name, encoder, size in self.scales:
            h = self.embed(x, encoder, size)
            distance = nearest(h.flatten(0, 2), self.get_buffer(f"bank_{name}")).view(h.shape[:3])[
                :, None
            ]
            spread, stride = distance.new_ones(1, 1, size, size), size // 4
            held = F.conv_transpose2d(torch.ones_like(distance[:1]), spread, stride=stride)
            product = product * F.conv_transpose2d(distance, spread, stride=stride) / held
        return product[:, 0]

    def score_batch(self, x: Tensor) -> Tensor:
        return self.anomaly_map(x).amax(dim=(1, 2))
