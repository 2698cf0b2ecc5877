"""t-SNE of latents, kept beside the jobs. An edit of this file computes all maps again."""

import hashlib

import numpy as np
from joblib import Parallel, cpu_count, delayed
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from ygan_study.run.cache import cached
from ygan_study.run.folder import Run


def maps(wanted: list[tuple[Run, str, np.ndarray]]) -> list[np.ndarray]:
    """The points (rows, 2) of each (run, "z_s" or "z_r", rows of run.test)."""
    latents = [np.ascontiguousarray(run.test[name][rows]) for run, name, rows in wanted]
    key = hashlib.sha256(b"".join(hashlib.sha256(z).digest() for z in latents)).hexdigest()
    return cached(wanted[0][0].cache, key, _all, latents)


def tsne(z: np.ndarray, random_state: int = 0) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton, 2008) of latents (n, d) -> (n, 2), from a random start."""
    with threadpool_limits(1):  # on a busy machine its own threads wait for each other
        return TSNE(init="random", random_state=random_state).fit_transform(z)


def _all(latents: list[np.ndarray]) -> list[np.ndarray]:
    side_by_side = Parallel(min(len(latents), cpu_count()), backend="threading")
    return side_by_side(delayed(tsne)(z) for z in latents)  # processes would miss a Ctrl-C
