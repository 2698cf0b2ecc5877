"""The background-only control for PlantVillage, for any system: images of which nothing but the border is left.

After Noyan, "Uncovering bias in the PlantVillage dataset" (2022, arXiv 2206.04374), where 8 background pixels alone give 49 %
accuracy over 38 classes. What a system scores on the border alone, it does not owe to the leaf.
"""

from __future__ import annotations

from torch import Tensor


def border(images: Tensor, width: int = 2) -> Tensor:
    """A copy with only the outermost `width` pixels on each side kept, the rest black: uint8 (n, C, S, S) -> the same.

    Raises ValueError where the width leaves nothing out, or keeps nothing.
    """
    if not 0 < 2 * width < images.shape[-1]:
        raise ValueError(
            f"a border of {width} pixels in images of {images.shape[-1]}: choose 1 to {(images.shape[-1] - 1) // 2}"
        )
    images = images.clone()
    images[..., width:-width, width:-width] = 0
    return images
