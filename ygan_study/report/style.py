"""The look of every figure, in one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt

STYLE = Path(__file__).with_name("style.mplstyle")


@contextmanager
def style() -> Iterator[None]:
    """Figures made inside look alike, whatever a user's matplotlibrc or start-up file says."""
    plt.draw_if_interactive()  # loads the backend: loaded inside, a notebook would show no plots
    with plt.style.context(STYLE, after_reset=True):
        yield
