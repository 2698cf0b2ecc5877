"""The sliders of the class tour, notebooks/00_tour.ipynb, over the pictures of pictures.py; a digit drawn with the mouse."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from ipycanvas import Canvas, hold_canvas
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import Tensor
from torchvision.transforms.functional import resize

from ygan_core.data import COLOURS
from ygan_core.data.color import colourise
from ygan_core.study.run.store import Run
from ygan_core.study.show.figures.base import STYLE
from ygan_core.study.tour.pictures import latents

Strokes = Sequence[Sequence[tuple[float, float]]]  # each a line through points (x, y), y downwards
SEVEN: Strokes = [[(60, 60), (190, 60), (110, 230)]]
ZERO: Strokes = [[(140 + 60 * np.sin(angle), 140 - 90 * np.cos(angle)) for angle in np.linspace(0, 2 * np.pi, 40)]]


def digit(strokes: Strokes, colour: int) -> Tensor:
    """A drawn digit as Color-MNIST has its own: uint8 (1, 3, 32, 32), on a ground of COLOURS. No strokes: bare ground.

    As MNIST: scaled to fit 20 x 20 pixels, its centre of mass in the middle of 28 x 28; then 32 x 32, thresholded, inverted.
    """
    ink, fine, pen = Image.new("L", (280, 280)), 10, 24  # drawn ten times as large; MNIST's strokes are 2 to 3 pixels wide
    if any(len(stroke) for stroke in strokes):
        points = np.concatenate([np.asarray(stroke, dtype=float) for stroke in strokes if len(stroke)])
        low, high = points.min(axis=0), points.max(axis=0)
        scale = (20 * fine - pen) / max((high - low).max(), 1.0)
        draw = ImageDraw.Draw(ink)
        for stroke in strokes:
            line = [tuple((np.asarray(p) - (low + high) / 2) * scale + 140) for p in stroke]
            draw.line(line, fill=255, width=pen, joint="curve")
            for x, y in line:
                draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    small = np.asarray(ink.resize((28, 28), Image.Resampling.BOX))
    if small.any():
        small = ndimage.shift(small, 13.5 - np.array(ndimage.center_of_mass(small)), order=1)
    return colourise(resize(torch.from_numpy(small.copy())[None, None], [32, 32], antialias=True), torch.tensor([colour]))


def explore(draw: Callable[..., Figure], **controls: widgets.Widget) -> widgets.VBox:
    """The controls over draw(**their values), which is drawn anew when one of them moves."""
    shown = widgets.Image(format="png")

    def redraw(_=None) -> None:
        shown.value = _png(draw(**{name: control.value for name, control in controls.items()}))

    for control in controls.values():
        control.observe(redraw, "value")
    redraw()
    return widgets.VBox([*controls.values(), shown])


def slider(description: str, values: Sequence[float] | dict[str, int], start) -> widgets.SelectionSlider:
    """A slider over values, or over names that stand for them; it speaks when it is let go."""
    options = list(values.items()) if isinstance(values, dict) else [(f"{value:g}", value) for value in values]
    wide = dict(layout=widgets.Layout(width="420px"), style={"description_width": "110px"})
    return widgets.SelectionSlider(description=description, options=options, value=start, continuous_update=False, **wide)


def choice(description: str, options: dict[str, object]) -> widgets.Dropdown:
    """A list to choose one of."""
    return widgets.Dropdown(description=description, options=list(options.items()), style={"description_width": "110px"})


def pad(run: Run) -> widgets.VBox:
    """Draw a digit with the mouse: at the end of each stroke `latents` of it."""
    canvas, strokes, down = Canvas(width=280, height=280), [], []
    colour, clear = choice("ground", {name: i for i, name in enumerate(COLOURS)}), widgets.Button(description="clear")
    shown = widgets.Image(format="png")

    def redraw(_=None) -> None:
        shown.value = _png(latents(run, digit(strokes, colour.value)))

    def wipe(_=None) -> None:
        strokes.clear()
        with hold_canvas():
            canvas.fill_style, canvas.stroke_style, canvas.line_width, canvas.line_cap = "whitesmoke", "black", 20, "round"
            canvas.fill_rect(0, 0, 280, 280)
        redraw()

    def press(x: float, y: float) -> None:
        down.append(True)
        strokes.append([(x, y)])

    def move(x: float, y: float) -> None:
        if down:
            canvas.stroke_line(*strokes[-1][-1], x, y)
            strokes[-1].append((x, y))

    def lift(x: float, y: float) -> None:
        if down:
            down.clear()
            redraw()

    canvas.on_mouse_down(press)
    canvas.on_mouse_move(move)
    canvas.on_mouse_up(lift)
    canvas.on_mouse_out(lift)
    clear.on_click(wipe)
    colour.observe(redraw, "value")
    wipe()
    return widgets.VBox([widgets.HBox([canvas, widgets.VBox([colour, clear])]), shown])


def _png(fig: Figure) -> bytes:
    buffer = io.BytesIO()
    with plt.style.context(STYLE):
        fig.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
