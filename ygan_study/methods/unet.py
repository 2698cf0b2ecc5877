"""The two halves of a U-Net (Ronneberger, Fischer and Brox, 2015), for P-Net and ARNet."""

from itertools import pairwise, zip_longest

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers = []
    for channels in (inputs, outputs):
        convolution = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class Contracting(nn.Module):
    """x (B, channels, S, S) -> five maps, of w, 2w, 4w, 8w and 8w channels, sides S to S/16."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        filters = [width * n for n in (1, 2, 4, 8, 8)]
        self.blocks = nn.ModuleList(_block(*ends) for ends in pairwise([channels, *filters]))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.blocks[0](x)]
        for block in self.blocks[1:]:
            maps.append(block(F.max_pool2d(maps[-1], 2)))
        return maps


class Expanding(nn.Module):
    """The lowest map (B, bottom, S/16, S/16) and skips -> (B, channels, S, S) in (-1, 1).

    skips: maps of `Contracting`, deepest first, whose channels are these multiples of width; where
    there are fewer than four, the finer levels have none.
    """

    def __init__(
        self, bottom: int, channels: int, width: int, skips: tuple[int, ...] = (8, 4, 2, 1)
    ):
        super().__init__()
        self.blocks = nn.ModuleList()
        for skip, outputs in zip_longest(skips, (4, 2, 1, 1), fillvalue=0):
            self.blocks.append(_block(bottom + skip * width, outputs * width))
            bottom = outputs * width
        self.to_image = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for block, skip in zip_longest(self.blocks, skips):
            x = F.interpolate(x, scale_factor=2, mode="bilinear")
            x = block(x if skip is None else torch.cat([x, skip], dim=1))
        return self.to_image(x).tanh()
