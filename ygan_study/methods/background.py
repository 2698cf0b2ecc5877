"""Background only, the control for PlantVillage: images of which nothing but the outermost pixels is left.

After Noyan, "Uncovering bias in the PlantVillage dataset" (2022, arXiv 2206.04374), where 8 background pixels alone give 49 %
accuracy over 38 classes. What a system scores on the background alone, it does not owe to the leaf.
"""

from __future__ import annotations

from torch import Tensor


def background_only(images: Tensor) -> Tensor:
    """A copy with the outermost pixels alone, 2 on each side at 64 x 64, the rest black: uint8 (n, C, S, S), S >= 32."""
    width = images.shape[-1] // 32
    images = images.clone()
    images[..., width:-width, width:-width] = 0
    return images
