"""The sliders of the class tour, notebooks/00_tour.ipynb, and a place to draw a digit."""

import io
from collections.abc import Callable, Sequence

import ipywidgets as widgets
import numpy as np
import torch
from ipycanvas import Canvas, hold_canvas
from IPython import display
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import Tensor
from torchvision.transforms.functional import resize

from ygan_core.data import COLOURS
from ygan_core.data.color import colourise
from ygan_study.report.style import style
from ygan_study.run.folder import Run
from ygan_study.teach.tour import latents

Strokes = Sequence[Sequence[tuple[float, float]]]  # lines through points (x, y), y downwards
SEVEN: Strokes = [[(60, 60), (190, 60), (110, 230)]]
_angles = np.linspace(0, 2 * np.pi, 40)
ZERO: Strokes = [[(140 + 60 * np.sin(a), 140 - 90 * np.cos(a)) for a in _angles]]
# Where widgets are alive, the plain picture above them is hidden. A page without a kernel shows it.
ONCE = """<style>
.jp-OutputArea-child:has(+ .jp-OutputArea-child .tour-controls) { display: none }
</style>"""


class Controls(widgets.VBox):
    """Widgets over a picture that they draw anew. Where no widget is alive, `first` is shown."""

    def __init__(self, controls: Sequence[widgets.Widget], first: Figure):
        self.first = first
        own_size = widgets.Layout(align_self="flex-start", max_width="100%")
        self.picture = widgets.Image(format="png", value=png(first), layout=own_size)
        rows = widgets.Layout(flex_flow="row wrap")  # side by side, as far as the page is wide
        super().__init__([widgets.Box(controls, layout=rows), self.picture, widgets.HTML(ONCE)])
        self.add_class("tour-controls")

    def show(self, fig: Figure) -> None:
        """Put this picture in place of the one before."""
        self.picture.value = png(fig)

    def _ipython_display_(self) -> None:
        display.display(display.Image(self.picture.value))
        plain = {"text/plain": "(Controls stand here while the notebook is running.)"}
        display.display({**self._repr_mimebundle_(), **plain}, raw=True)


def png(fig: Figure, dpi: int = 100) -> bytes:
    """A picture of the tour as a PNG file. dpi: pixels an inch."""
    buffer = io.BytesIO()
    with style():
        fig.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def explore(draw: Callable[..., Figure], **controls: widgets.Widget) -> Controls:
    """The controls over draw(**their values), which is drawn anew when one of them moves."""

    def now() -> Figure:
        return draw(**{name: control.value for name, control in controls.items()})

    box = Controls([*controls.values()], now())
    for control in controls.values():
        control.observe(lambda _: box.show(now()), "value")
    return box


def slider(name: str, values: Sequence[float] | dict[str, int], start) -> widgets.SelectionSlider:
    """A slider over values, or over names that stand for them; it speaks when it is let go."""
    options = [*values.items()] if isinstance(values, dict) else [(f"{v:g}", v) for v in values]
    wide = dict(layout=widgets.Layout(width="380px"), style={"description_width": "90px"})
    return widgets.SelectionSlider(
        description=name, options=options, value=start, continuous_update=False, **wide
    )


def choice(name: str, options: dict[str, object]) -> widgets.Dropdown:
    """A list to choose one of."""
    narrow = dict(layout=widgets.Layout(width="220px"), style={"description_width": "90px"})
    return widgets.Dropdown(description=name, options=[*options.items()], **narrow)


def digit(strokes: Strokes, colour: int) -> Tensor:
    """A drawn digit as Color-MNIST has its own: uint8 (1, 3, 32, 32), on a background of COLOURS.

    As MNIST: scaled to fit 20 x 20 pixels, its centre of mass in the middle of 28 x 28; then 32 x
    32, thresholded, inverted. Without strokes the background is bare.
    """
    # Drawn ten times as large. MNIST's strokes are 2 to 3 pixels wide.
    ink, pen = Image.new("L", (280, 280)), 24
    strokes = [np.asarray(stroke, dtype=float) for stroke in strokes if len(stroke)]
    if strokes:
        points = np.concatenate(strokes)
        low, high = points.min(axis=0), points.max(axis=0)
        scale = (200 - pen) / max((high - low).max(), 1.0)
        draw = ImageDraw.Draw(ink)
        for stroke in strokes:
            line = [tuple(point) for point in (stroke - (low + high) / 2) * scale + 140]
            draw.line(line, fill=255, width=pen, joint="curve")
            for x, y in line:
                draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    small = np.asarray(ink.resize((28, 28), Image.Resampling.BOX))
    if strokes:
        small = ndimage.shift(small, 13.5 - np.array(ndimage.center_of_mass(small)), order=1)
    large = resize(torch.from_numpy(small.copy())[None, None], [32, 32], antialias=True)
    return colourise(large, torch.tensor([colour]))


def pad(run: Run, first: Figure) -> Controls:
    """Draw a digit with the mouse: after each stroke `latents` of it. Until then `first`."""
    size = 280
    canvas = Canvas(width=size, height=size, layout=widgets.Layout(align_self="flex-start"))
    canvas.stroke_style, canvas.line_width, canvas.line_cap = "black", 20, "round"
    canvas.fill_style = "whitesmoke"
    colour = choice("background", {name: i for i, name in enumerate(COLOURS)})
    clear = widgets.Button(description="clear", layout=widgets.Layout(width="56px"))
    box = Controls([widgets.VBox([colour, clear]), canvas], first)
    strokes, down = [], []

    def redraw(_=None) -> None:
        box.show(latents(run, digit(strokes, colour.value)))

    def wipe(_=None) -> None:
        strokes.clear()
        with hold_canvas():
            canvas.fill_rect(0, 0, size, size)

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
    clear.on_click(redraw)
    colour.observe(redraw, "value")
    wipe()
    return box
