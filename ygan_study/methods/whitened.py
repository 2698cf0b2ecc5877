"""Another encoder, not the paper's (notebook 11): that of the public speed runs on CIFAR10.

After airbench94 (Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv 2404.00498). A first layer whitens patches of
2 x 2 pixels and is not trained; theirs has biases that are, for three epochs. Three blocks follow, of two 3 x 3 convolutions
each, which begin near the identity. Batch norms have a bias but no scale, and forget quickly. There the network ends in ten
logits; here it ends in the latent z that C reads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PATCH = 2
SAMPLE = 2_000  # images whose patches are whitened
LEAST = 5e-4  # added to each variance: a direction in which patches hardly differ is not blown up to noise
WIDER = 4  # how many times as many filters the second and the third block have as the first
FORGET = 0.4  # momentum of the running statistics, as PyTorch counts it


class WhitenedEncoder(nn.Module):
    """E_s: x (B, channels, S, S) float32 in [-1, 1], S at least 32 -> z (B, d) float32.

    width: filters of the first block. `whiten` has to be called once before it is trained.
    """

    def __init__(self, channels: int, image_size: int, width: int, d: int):
        super().__init__()
        patches = channels * PATCH**2
        whitening = nn.Conv2d(channels, 2 * patches, PATCH, bias=False)
        whitening.weight.requires_grad_(False)
        layers, inputs = [whitening, nn.GELU()], 2 * patches
        for outputs in (width, WIDER * width, WIDER * width):
            layers += [
                _near_identity(inputs, outputs),
                nn.MaxPool2d(2),
                _unscaled(outputs),
                nn.GELU(),
            ]
            layers += [_near_identity(outputs, outputs), _unscaled(outputs), nn.GELU()]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.to_latent = nn.Linear(inputs, d, bias=False)

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the first layer from training images, uint8 (n, channels, S, S); of more than 2,000 the first.

        Its filters are the principal directions of their patches, each divided by the deviation along it, and the same negated,
        so that a GELU lets no half of a direction through unseen.
        """
        first = self.features[0]
        x = images[:SAMPLE].float() / 127.5  # the scale of the networks' input; the mean goes below
        patches = nn.functional.unfold(x, PATCH).transpose(1, 2).flatten(0, 1).double()
        patches -= patches.mean(dim=0)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (directions / (variances + LEAST).sqrt()).T.reshape(-1, *first.weight.shape[1:])
        first.weight.copy_(torch.cat([filters, -filters]))

    def forward(self, x: Tensor) -> Tensor:
        z = self.to_latent(self.features(x).amax(dim=(2, 3)))
        return z.to(torch.promote_types(z.dtype, torch.float32))  # as `model.Encoder`


def _near_identity(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 x 3 convolution whose first filters hand their input on unchanged, as far as there are as many."""
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[:inputs].data)
    return layer


def _unscaled(channels: int) -> nn.BatchNorm2d:
    """A batch norm whose scale stays 1: the next convolution can do that."""
    norm = nn.BatchNorm2d(channels, momentum=FORGET)
    norm.weight.requires_grad_(False)
    return norm
