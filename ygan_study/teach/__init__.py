"""The class tour, notebooks/00_tour.ipynb: its pictures. `tour.widgets` has the sliders."""

from ygan_study.teach.pictures import (
    Live,
    Stage,
    called,
    clusters,
    examples,
    latents,
    live,
    mistakes,
    networks,
    normal_digits,
    objective,
    reversal,
    score_family,
    swap,
    threshold,
    walk,
)

__all__ = [
    "Live",
    "Stage",
    "called",
    "clusters",
    "examples",
    "latents",
    "live",
    "mistakes",
    "networks",
    "normal_digits",
    "objective",
    "reversal",
    "score_family",
    "swap",
    "threshold",
    "walk",
]
