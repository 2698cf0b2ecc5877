"""Patch SVDD: Yi and Yoon, "Patch SVDD: patch-level SVDD for anomaly detection and segmentation"
(ACCV 2020).

A patch encoder learns to map neighbouring patches close together, and to tell from two embeddings
in which of 8 directions one patch lies from the other. A patch is as anomalous as it is far from
the nearest patch of normal images; a pixel has the mean over the patches that contain it. The maps
of both patch sizes are multiplied, and the score is the largest value.

From the paper: patches of 1/4 and 1/8 of the image's side (64 and 32 at 256 px), the large ones
encoded from their four quarters, embeddings of 64, Adam 1e-4, colour jitter; lambda 1e-3 is the
authors' command. Adapted: 8 and 4 px at 32 px (16 and 8 at 64), with fewer layers; neighbours lie
one pixel apart at both sizes; partners are drawn inside the image, not clipped to it; for each size
the normal patches searched are a seeded sample of 2,000, since all of them (50 million in 50,000
images) take days.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ygan_study.methods.baseline import Baseline, Schedule, descend
from ygan_study.methods.knn import nearest

EMBEDDING = 64
LAMBDA = 1e-3  # of the neighbours' loss beside that of the position; with 1 all embeddings collapse
# Std of the noise on a patch's channels and pixels: colour must not tell its position.
JITTER = 0.02
BANK = 2_000  # normal patches of each size
DIRECTIONS = torch.tensor([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j])


def patch_encoder(channels: int, size: int, width: int) -> nn.Sequential:
    """An embedding of each patch of size x size: x (B, channels, S, S) -> (B, 64, P, P) in (-1, 1).

    P = S - size + 1. Of `size // 2` layers all but the last take two pixels off the side.
    """
    layers: list[nn.Module] = []
    for _ in range(size // 2 - 1):
        layers += [nn.Conv2d(channels, width, 3), nn.LeakyReLU(0.1)]
        channels = width
    return nn.Sequential(*layers, nn.Conv2d(channels, EMBEDDING, 2), nn.Tanh())


def quarters_encoder(size: int, width: int) -> nn.Sequential:
    """Embeds patches of twice the size from the embeddings of their quarters, `size` apart."""
    quarters = nn.Conv2d(EMBEDDING, width, 2, dilation=size)
    return nn.Sequential(quarters, nn.LeakyReLU(0.1), nn.Conv2d(width, EMBEDDING, 1), nn.Tanh())


def position_classifier(width: int) -> nn.Sequential:
    """Tells by the difference of two embeddings in which direction the second patch lies."""
    first, second = nn.Linear(EMBEDDING, width), nn.Linear(width, width)
    last = nn.Linear(width, len(DIRECTIONS))
    return nn.Sequential(first, nn.LeakyReLU(0.1), second, nn.LeakyReLU(0.1), last)


def pairs(x: Tensor, size: int, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Two patches of each image, at random where both fit, the second `offset` from the first.

    x: (B, C, S, S); offset: (B, 2), in rows and columns -> twice (B, C, size, size).
    """
    lowest = (-offset).clamp(min=0)
    highest = x.shape[-1] - size - offset.clamp(min=0)
    corner = lowest + (torch.rand(offset.shape) * (highest - lowest + 1)).long()
    patches, image = x.unfold(2, size, 1).unfold(3, size, 1), torch.arange(len(x))
    return tuple(patches[image, :, p[:, 0], p[:, 1]] for p in (corner, corner + offset))


def _jitter(patch: Tensor) -> Tensor:
    # drawn on the CPU, since checkpoints hold its random state
    noise = torch.randn(*patch.shape[:2], 1, 1) + torch.randn(patch.shape)
    return patch + (JITTER * noise).to(patch.device)


class PatchSVDD(Baseline):
    """Embeddings of patches, compared with those of normal patches."""

    title, kind = "Patch SVDD", "PT"
    authors = Schedule(
        300 * 100 * 391, "nuclearboy95/…PatchSVDD-PyTorch: 300 epochs, 100 patches of 391 hazelnuts"
    )

    def prepare(self, images: Tensor) -> None:
        self.size, width = images.shape[-1] // 8, 2 * self.config.width
        self.small = patch_encoder(images.shape[1], self.size, width)
        self.quarters = quarters_encoder(self.size, width)
        self.position = nn.ModuleList(position_classifier(width) for _ in range(2))
        self.optimisers = {"adam": torch.optim.Adam(self.parameters(), lr=1e-4)}

    @property
    def scales(self) -> list[tuple[str, nn.Module, int]]:
        """Name, encoder and patch size of each scale."""
        large = nn.Sequential(self.small, self.quarters)
        return [("small", self.small, self.size), ("large", large, 2 * self.size)]

    def step(self, x: Tensor, p: float) -> dict[str, Tensor]:
        n, terms = len(x), {"L_svdd": 0, "L_position": 0}
        for (_, encoder, size), classifier in zip(self.scales, self.position, strict=True):
            close = pairs(x, size, DIRECTIONS[torch.randint(8, (n,))])
            direction = torch.randint(8, (n,))
            reach = 3 * size // 4 + torch.randint(size // 4, (n, 2))
            apart = map(_jitter, pairs(x, size, DIRECTIONS[direction] * reach))
            h = encoder(torch.cat([*close, *apart])).flatten(1).split(n)
            position = F.cross_entropy(classifier(h[2] - h[3]), direction.to(x.device))
            terms["L_svdd"] = terms["L_svdd"] + (h[0] - h[1]).norm(dim=1).mean()
            terms["L_position"] = terms["L_position"] + position
        descend(self.optimisers["adam"], terms["L_position"] + LAMBDA * terms["L_svdd"])
        return terms

    def embed(self, x: Tensor, encoder: nn.Module, size: int) -> Tensor:
        """Embeddings of patches that lie size / 4 apart: (B, C, S, S) -> (B, rows, columns, 64)."""
        stride = size // 4
        return encoder(x)[:, :, ::stride, ::stride].permute(0, 2, 3, 1)

    def finish(self, images: Tensor) -> None:
        random = torch.Generator().manual_seed(self.config.seed)
        chosen = images[torch.randperm(len(images), generator=random)[:BANK]]
        each = -(-BANK // len(chosen))  # patches of each image
        for name, encoder, size in self.scales:
            bank = []
            for x in self.inputs(chosen):
                h = self.embed(x, encoder, size).flatten(1, 2)
                order = torch.rand(h.shape[:2], generator=random).argsort(dim=1)
                taken = order[:, :each, None].to(self.device).expand(-1, -1, EMBEDDING)
                bank.append(h.gather(1, taken).flatten(0, 1))
            self.register_buffer(f"bank_{name}", torch.cat(bank)[:BANK], persistent=False)

    def anomaly_map(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) -> (B, S, S): the distances to the nearest normal patches, multiplied."""
        product = 1
        for name, encoder, size in self.scales:
            h = self.embed(x, encoder, size)
            distance = nearest(h.flatten(0, 2), self.get_buffer(f"bank_{name}"))
            distance = distance.view(h.shape[:3])[:, None]
            spread, stride = distance.new_ones(1, 1, size, size), size // 4
            patches = F.conv_transpose2d(torch.ones_like(distance[:1]), spread, stride=stride)
            product = product * F.conv_transpose2d(distance, spread, stride=stride) / patches
        return product[:, 0]

    def score_batch(self, x: Tensor) -> Tensor:
        return self.anomaly_map(x).amax(dim=(1, 2))
