"""The inference table: milliseconds to score an image."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ygan_core.config import Config
from ygan_core.model import Encoder, LatentClassifier
from ygan_core.scores import s, to_input
from ygan_study.bench.extent import Extent
from ygan_study.bench.timing import spread, take_turns

# Image size, width, batch size: milliseconds on an RTX 2080 Ti and an i7-8700K (section 4.3).
PAPER_MS = {(32, 64, 1): 2.6, (256, 64, 1): 13.5}


def inference(extent: Extent, device: str) -> pd.DataFrame:
    """Milliseconds for an image, from uint8 on the host to its score on the host: Eq. 12, by E_s and C.

    A row is an image size and a batch size. ms_per_image_paper: what the paper reports for it, if anything.
    """
    config, runs = Config(width=extent.inference_width), {}
    for size, batch in extent.inference:
        E_s, C = (
            Encoder(3, size, config.width, config.d),
            LatentClassifier(config.d, config.hidden, 9),
        )
        networks = nn.Sequential(E_s, C).eval().to(device, memory_format=torch.channels_last)
        runs[size, batch] = partial(
            _score, networks, torch.zeros(batch, 3, size, size, dtype=torch.uint8), device
        )
    with torch.inference_mode():
        took = take_turns(runs, extent)
    return pd.DataFrame(
        {
            "image_size": size,
            "width": config.width,
            "batch_size": batch,
            **spread("ms_per_image", 1e3 * taken / batch),
            "ms_per_image_paper": PAPER_MS.get((size, config.width, batch), np.nan),
        }
        for (size, batch), taken in took.items()
    )


def _score(networks: nn.Module, images: Tensor, device: str) -> Tensor:
    return s(networks(to_input(images.to(device)))).cpu()
