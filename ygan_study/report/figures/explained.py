"""The method in pictures: Fig. 1 to 3, which the paper draws by hand, made of real images and trained networks."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from ygan_core.config import TERMS
from ygan_core.losses import L_con
from ygan_core.model import YGAN
from ygan_core.scores import decode, to_image
from ygan_study.plan.jobs import Job
from ygan_study.report.figures.base import (
    ANOMALOUS,
    CLASS_COLOURS,
    pictured,
    title,
)
from ygan_study.report.view import View
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

LATENT_COLOURS = "PuOr"  # of a latent's values, white at 0
EQUATIONS = dict(zip(TERMS, (3, 4, 6, 8, 9, 5), strict=True))


def fig1(runs: list[Run]) -> Figure:
    """Fig. 1, the idea, on a normal and on an anomalous digit (black outline). Each image has the median score of its kind
    among the test images at hand: of a record, those of the starter pack.

    From left to right: the image x; its latents z_s and z_r, a line for each number; the reconstruction D(z_s, z_r); the
    reconstruction from the same z_s and the mean z_r of the held-back normal images at hand, which takes the residual of the
    image away; the probabilities that C gives to the normal digits, and the score s of Eq. 12.

    The colour of a line in a latent: purple above 0, orange below, white at 0. Each latent has its own scale: its largest
    number, of either sign, is darkest.
    """
    run = pictured(runs)[0]
    model, test, rows = run.model(), run.test, middle_rows(run)
    z_s, z_r = torch.from_numpy(test["z_s"][rows]), torch.from_numpy(test["z_r"][rows])
    mean_z_r = torch.from_numpy(test["z_r"][~test["anomalous"]].mean(axis=0))
    images, x_hat = run.images(rows), decode(model, z_s, z_r)
    without = decode(model, z_s, mean_z_r.expand_as(z_r))
    with torch.inference_mode():
        p = model.C(z_s).softmax(dim=1).numpy()

    ax = _canvas(91, 34)
    names = [name for label, name in enumerate(run.classes) if label != run.config.held_out]
    colours = [
        CLASS_COLOURS[label] for label in range(len(run.classes)) if label != run.config.held_out
    ]
    headings = (
        "$x$",
        "latents",
        "$D(z_s, z_r)$",
        "$D(z_s, \\bar z_r)$:\nresidual removed",
        "$C(z_s)$: probabilities $p_i$,\n$s = 1 - \\max_i\\,p_i$",
    )
    for heading, x in zip(headings, (10.5, 30, 48.5, 62.5, 81), strict=True):
        ax.text(x, 29.5, heading, ha="center", va="bottom")
    for i, (kind, y) in enumerate((("normal", 18), ("anomalous", 2))):
        ax.text(
            3.5,
            y + 5,
            f"{kind}:\na {run.classes[test['label'][rows[i]]]}",
            rotation=90,
            ha="center",
            va="center",
        )
        _picture(ax, images[i], 5.5, y, 10, outlined=kind == "anomalous")
        for z, name, height in ((z_s, "z_s", y + 6), (z_r, "z_r", y + 1)):
            _strip(ax, z[i], 23, height, 15, 3, float(z.abs().max()))
            ax.text(22.6, height + 1.5, f"${name}$", ha="right", va="center")
            _arrow(ax, (16, y + 5), (20, height + 1.5))
            _arrow(ax, (38.5, height + 1.5), (43, y + 5))
        _picture(ax, x_hat[i], 43.5, y, 10)
        _picture(ax, without[i], 57.5, y, 10)
        bars = ax.inset_axes((73, y + 1, 16, 7.5), transform=ax.transData)
        bars.bar(range(len(names)), p[i], color=colours)
        bars.set_xticks(range(len(names)), names)
        bars.set(ylim=(0, 1), yticks=(0, 1), title=f"$s = {test['s'][rows[i]]:.3f}$")
    ax.set_title(title(run))
    return ax.figure


def fig2(runs: list[Run]) -> Figure:
    """Fig. 2, the five networks. Each block is the output of a layer: channels × height × width. Each yellow box is a loss
    term with its weight, at the place where it acts. ⊕ joins two latents. R reverses the gradient (Eq. 7).

    The image and its latents are those of a held-back image; the latents are coloured as in Fig. 1. The hybrid has the z_r of
    another image.
    """
    run = pictured(runs)[0]
    model = run.model()
    row, partner = example_pairs(run, 1)[0]
    z_s, z_r = (torch.from_numpy(run.test[z][[row]]) for z in ("z_s", "z_r"))
    x, x_hat = run.images(np.array([row]))[0], decode(model, z_s, z_r)[0]
    hybrid = decode(model, z_s, torch.from_numpy(run.test["z_r"][[partner]]))[0]
    layers = layer_shapes(model, len(x), run.config.image_size)

    ax = _canvas(99, 59.5, scale=10.5)
    encoder = _network(ax, model, "E_s", layers, 13, 17, 43)
    _network(ax, model, "E_r", layers, 13, 17, 17)
    c, d = (
        _network(ax, model, "C", layers, 40.5, 5, 30, gap=4.3),
        _network(ax, model, "D", layers, 53, 18, 30),
    )
    ds = _network(ax, model, "Ds", layers, 82, 16, 30, gap=4.3)
    _picture(ax, x, 2, 26.5, 7, "$x$")
    _picture(ax, x_hat, 73, 26.5, 7, "$\\hat x$")
    _picture(ax, hybrid, 58.5, 51.5, 7)
    ax.text(
        66,
        55,
        "$\\hat x' = D(z_s \\oplus z_r')$\n$z_r'$ of another image",
        ha="left",
        va="center",
        fontsize=8,
    )
    for z, name, y in ((z_s, "z_s", 43), (z_r, "z_r", 17)):
        _strip(ax, z[0], 31.5, y - 6, 1.8, 12, float(z.abs().max()), upright=True)
        ax.text(32.4, y - 6.8, f"${name}$", ha="center", va="top")
    _arrow(ax, (9.3, 30), (11, 30), (11, 43), (12.8, 43))
    _arrow(ax, (9.3, 30), (11, 30), (11, 17), (12.8, 17))
    _arrow(ax, (33.5, 43), (50, 43), (50, 31.5))
    _arrow(ax, (33.5, 17), (50, 17), (50, 28.5))
    _arrow(ax, (36.5, 43), (36.5, 31), (40.2, 31))
    _arrow(ax, (36.5, 17), (36.5, 29), (40.2, 29))
    _arrow(ax, (51.3, 30), (52.8, 30))
    _arrow(ax, (71.2, 30), (72.8, 30))
    _arrow(ax, (80.2, 30), (81.8, 30))
    _arrow(ax, (5.5, 26), (5.5, 1.5), (81, 1.5), (81, 28), (81.8, 28))
    _arrow(ax, (62, 30 + d / 2), (62, 51.3), dashed=True)
    _arrow(ax, (58.2, 55), (21.5, 55), (21.5, 43.3 + encoder / 2), dashed=True)
    for x_node, y_node, text in ((50, 30, "$\\oplus$"), (36.5, 22.5, "R")):
        node = dict(boxstyle="circle,pad=0.2", fc="white", ec="black", lw=0.8)
        ax.text(x_node, y_node, text, ha="center", va="center", bbox=node)

    step = 16 / len(layers["Ds"])
    f, logit = 98 - 1.6 * step, 98 - 0.6 * step  # the middles of the last two blocks of Ds
    places = {  # of a term's box, and the line from there to where it acts
        "L_rec": (42, 4.5, [(7.5, 26), (7.5, 4.5), (76.5, 4.5), (76.5, 26)]),
        "L_adv": (f, 33 + ds / 2, [(f, 33 + ds / 2), (f, 34.5)]),
        "L_s": (43, 33 + c / 2, [(43, 33 + c / 2), (43, 30 + c / 2)]),
        "L_r": (43, 27 - c / 2, [(43, 27 - c / 2), (43, 30 - c / 2)]),
        "L_con": (40, 55, []),
        "L_bce": (min(logit, 94), 27 - ds / 2, [(logit, 27 - ds / 2), (logit, 27.5)]),
    }
    for term, weight in run.config.weights.items():
        if weight:
            x_box, y_box, line = places[term]
            ax.plot(*zip(*line, strict=True), color="grey", ls=":", lw=1) if line else None
            label = f"${weight:g}\\,L_{{{term[2:]}}}$ Eq. {EQUATIONS[term]}"
            ax.text(x_box, y_box, label, ha="center", va="center", fontsize=8, bbox=TERM_BOX)
    ax.set_title(title(run))
    return ax.figure


def fig3(runs: list[Run]) -> Figure:
    """Fig. 3, consistency (Eq. 9), on three pairs of held-back normal images. z_s of x and z_r of x' make a hybrid. E_s reads
    the hybrid. Its z_s should be the one that went in: training raises the cosine between the two.

    The second number is the cosine between z_s of x and z_s of x', which is another digit. If it is near 1 too, then all
    latents point the same way, and a high first cosine says nothing.

    The latents are coloured as in Fig. 1: purple above 0, orange below, white at 0. All z_s have one scale, all z_r another.
    """
    run = pictured(runs)[0]
    model = run.model()
    pairs = np.array(example_pairs(run, 3))
    x, x_ = (run.images(rows) for rows in pairs.T)
    z_s, z_s_other = (torch.from_numpy(run.test["z_s"][rows]) for rows in pairs.T)
    z_r_ = torch.from_numpy(run.test["z_r"][pairs[:, 1]])
    with torch.inference_mode():
        hybrids = model.D(z_s, z_r_)
        z_s_hat = model.encode_s(hybrids)
    hybrid_images = to_image(hybrids)
    ranges = float(torch.cat([z_s, z_s_hat]).abs().max()), float(z_r_.abs().max())

    ax = _canvas(91, 12.5 * len(pairs) + 1)
    for i in range(len(pairs)):
        y = 12.5 * (len(pairs) - 1 - i) + 1
        for image, left, name in ((x[i], 1, "$x$"), (x_[i], 10, "$x'$")):
            _picture(ax, image, left, y + 1, 8, name)
        for z, bottom, limit, name in (
            (z_s[i], y + 6, ranges[0], "$z_s$ of $x$"),
            (z_r_[i], y + 1, ranges[1], "$z_r$ of $x'$"),
        ):
            _strip(ax, z, 25, bottom, 17, 2.6, limit)
            ax.text(33.5, bottom + 2.7, name, ha="center", va="bottom", fontsize=8)
            _arrow(ax, (18.5, y + 5), (24.6, bottom + 1.3))
            _arrow(ax, (42.4, bottom + 1.3), (47.6, y + 5))
        _picture(ax, hybrid_images[i], 48, y + 1, 8, "$\\hat x'$")
        _arrow(ax, (56.5, y + 5), (60.6, y + 2.3))
        for z, bottom, name in (
            (z_s[i], y + 6, "$z_s$"),
            (z_s_hat[i], y + 1, "$\\hat z_s' = E_s(\\hat x')$"),
        ):
            _strip(ax, z, 61, bottom, 17, 2.6, ranges[0])
            ax.text(69.5, bottom + 2.7, name, ha="center", va="bottom", fontsize=8)
        cosine = -L_con(z_s[i : i + 1], z_s_hat[i : i + 1]).item()
        other = -L_con(z_s[i : i + 1], z_s_other[i : i + 1]).item()
        ax.text(79.5, y + 5.9, f"cosine {cosine:.3f}", ha="left", va="center", weight="bold")
        ax.text(
            79.5,
            y + 3.2,
            f"$z_s$ of $x$ and $x'$: {other:.3f}",
            ha="left",
            va="center",
            fontsize=7,
            color="dimgrey",
        )
    ax.set_title(title(run))
    return ax.figure


def layer_shapes(model: YGAN, channels: int, image_size: int) -> dict[str, list[tuple[int, ...]]]:
    """What each convolution or linear map of each network puts out for one image, in the order of the flow.

    {E_s, E_r, D, C, Ds: [(channels, height, width), or (units,) in C, ...]}, as forward hooks see it on a zero image.
    """
    shapes = {name: [] for name, _ in model.named_children()}
    hooks = [
        layer.register_forward_hook(
            lambda *called, own=shapes[name]: own.append(tuple(called[2].shape[1:]))
        )
        for name, network in model.named_children()
        for layer in network.modules()
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
    ]
    with torch.inference_mode():
        model.Ds(model(torch.zeros(1, channels, image_size, image_size))[2])
    for hook in hooks:
        hook.remove()
    return shapes


def middle_rows(run: Run) -> np.ndarray:
    """The rows of `run.test` of a normal and of an anomalous image, (2,): each has the median score s (Eq. 12) of its kind."""
    kinds = [
        np.flatnonzero(run.test["in_test"] & (run.test["anomalous"] == kind))
        for kind in (False, True)
    ]
    return np.array(
        [rows[run.test["s"][rows].argsort(kind="stable")[len(rows) // 2]] for rows in kinds]
    )


def example_pairs(run: Run, count: int) -> list[tuple[int, int]]:
    """Pairs of held-back normal images, as rows of `run.test`. The first images are of different classes. The second is of
    another class than the first, and on Color-MNIST on another ground. They are the first that fit, not the best.
    """
    label = run.test["label"]
    ground = run.test.get("colour", np.arange(len(label)))
    normal = np.flatnonzero(~run.test["anomalous"])
    _, first = np.unique(label[normal], return_index=True)
    firsts = normal[np.sort(first)[:count]]
    partners = [
        normal[(label[normal] != label[row]) & (ground[normal] != ground[row])] for row in firsts
    ]
    return [
        (int(row), int(fits[i])) for i, (row, fits) in enumerate(zip(firsts, partners, strict=True))
    ]


TERM_BOX = dict(boxstyle="round,pad=0.25", fc="lightyellow", ec="grey", lw=0.6)


def _canvas(width: float, height: float, scale: float = 10) -> Axes:
    """An empty drawing of width x height units, `scale` of them an inch."""
    _, ax = plt.subplots(figsize=(width / scale, height / scale))
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.set_axis_off()
    return ax


def _picture(
    ax: Axes, image: Tensor, x: float, y: float, size: float, name: str = "", outlined: bool = False
) -> None:
    ax.imshow(
        image.expand(3, -1, -1).permute(1, 2, 0),
        extent=(x, x + size, y, y + size),
        interpolation="nearest",
    )
    if outlined:
        ax.add_patch(
            Rectangle(
                (x - 0.2, y - 0.2), size + 0.4, size + 0.4, fill=False, ec=ANOMALOUS, lw=2, zorder=3
            )
        )
    ax.text(x + size / 2, y + size + 0.4, name, ha="center", va="bottom")


def _strip(
    ax: Axes,
    z: Tensor,
    x: float,
    y: float,
    width: float,
    height: float,
    limit: float,
    upright: bool = False,
) -> None:
    pixels = z[:, None] if upright else z[None]
    ax.imshow(
        pixels,
        extent=(x, x + width, y, y + height),
        cmap=LATENT_COLOURS,
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
    )
    ax.add_patch(Rectangle((x, y), width, height, fill=False, ec="grey", lw=0.5))


def _arrow(ax: Axes, *points: tuple[float, float], dashed: bool = False) -> None:
    line = dict(color="black", lw=0.8, ls="--" if dashed else "-")
    ax.plot(*zip(*points[:-1], strict=True), **line)
    ax.annotate(
        "",
        points[-1],
        points[-2],
        arrowprops=dict(arrowstyle="-|>", shrinkA=0, shrinkB=0, mutation_scale=7, **line),
    )


def _network(
    ax: Axes,
    model: YGAN,
    name: str,
    layers: dict[str, list],
    left: float,
    width: float,
    y: float,
    gap: float = 0.6,
) -> float:
    """Draw a block for each layer; its height follows the size of its maps. `gap` below them: the network's name and size.

    Returns the height of the tallest block.
    """
    step, heights = width / len(layers[name]), []
    for i, shape in enumerate(layers[name]):
        heights.append(6.5 + 1.3 * np.log2(shape[-1]) if len(shape) == 3 else 5)
        x = left + i * step
        ax.add_patch(
            Rectangle(
                (x, y - heights[i] / 2),
                0.8 * step,
                heights[i],
                fc=NETWORK_COLOURS[name],
                ec="black",
                lw=0.6,
            )
        )
        sizes = [n for i, n in enumerate(shape) if n > 1 or i == 0]
        ax.text(
            x + 0.4 * step,
            y,
            "×".join(map(str, sizes)),
            rotation=90,
            ha="center",
            va="center",
            fontsize=7,
        )
    count = sum(p.numel() for p in getattr(model, name).parameters())
    below = y - max(heights) / 2 - gap
    ax.text(
        left + width / 2,
        below,
        f"${name}$\n{count:,} parameters",
        ha="center",
        va="top",
        fontsize=8,
    )
    return max(heights)


NETWORK_COLOURS = {
    "E_s": "#cfe3f3",
    "E_r": "#fbe3c6",
    "D": "#dcead3",
    "C": "#e6dcf0",
    "Ds": "#ececec",
}


def _color_mnist(study: Study) -> list[Job]:
    return study.select(group="color_mnist")[:1]


VIEWS = {
    "fig1": View(fig1, _color_mnist, "Fig. 1: the idea"),
    "fig2": View(fig2, _color_mnist, "Fig. 2: the networks"),
    "fig3": View(fig3, _color_mnist, "Fig. 3: consistency"),
}
