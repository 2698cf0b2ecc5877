"""The method in pictures: Fig. 1 to 3, made of real images and trained networks."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from torch import Tensor, nn

from ygan_core.config import TERMS
from ygan_core.losses import L_con
from ygan_core.model import YGAN
from ygan_core.scores import decode, to_image
from ygan_study.plan.jobs import Job
from ygan_study.report.figures import base
from ygan_study.report.figures.base import Picture, pictured
from ygan_study.run.folder import Run
from ygan_study.run.store import Study

LATENT_COLOURS = "PuOr"  # of a latent's numbers: purple above 0, orange below, white at 0
EQUATIONS = dict(zip(TERMS, (3, 4, 6, 8, 9, 5), strict=True))
NETWORK_COLOURS = dict(E_s="#cfe3f3", E_r="#fbe3c6", D="#dcead3", C="#e6dcf0", Ds="#ececec")
NODE = dict(boxstyle="circle,pad=0.2", fc="white", ec="black", lw=0.8)


def fig1(runs: list[Run]) -> Figure:
    """Fig. 1, the idea: Y-GAN takes an image apart, rebuilds it, and is unsure of the class of an
    anomaly (framed). The normal digit has the lower quartile of the normal test images' scores, the
    anomaly the upper quartile of the anomalies' scores; `z_r` with a bar is the mean of the normal
    images, which takes the residual away.
    """
    run = pictured(runs)[0]
    model, test, rows = run.model(), run.test, quartile_rows(run)
    z_s, z_r = torch.from_numpy(test["z_s"][rows]), torch.from_numpy(test["z_r"][rows])
    mean_z_r = torch.from_numpy(test["z_r"][~test["anomalous"]].mean(axis=0))
    images, x_hat = run.images(rows), decode(model, z_s, z_r)
    without = decode(model, z_s, mean_z_r.expand_as(z_r))
    with torch.inference_mode():
        p = model.C(z_s).softmax(dim=1).numpy()
    normal = run.normal_classes

    ax = _canvas(91, 34)
    columns = {
        9: "$x$",
        28: "latents",
        46.5: "$D(z_s, z_r)$",
        60.5: "$D(z_s, \\bar z_r)$:\nno residual",
        79.5: "$C(z_s)$: probabilities $p_i$,\nscore $s = 1 - \\max_i\\,p_i$",
    }
    for x, text in columns.items():
        ax.text(x, 29.3, text, ha="center", va="bottom")
    for i, (kind, y) in enumerate((("normal", 18), ("anomalous", 2))):
        name = f"{kind}:\na {run.classes[test['label'][rows[i]]]}"
        ax.text(1.5, y + 5, name, rotation=90, ha="center", va="center")
        for image, left in ((images[i], 4), (x_hat[i], 41.5), (without[i], 55.5)):
            _picture(ax, image, left, y, 10)
        if kind == "anomalous":
            base.outline(ax, 4, y, 10, 10)
        for z, latent, low in ((z_s, "$z_s$", y + 6), (z_r, "$z_r$", y + 1)):
            _strip(ax, z[i], (21.5, low, 15, 3), float(z.abs().max()))
            ax.text(21, low + 1.5, latent, ha="right", va="center")
            _arrow(ax, (14.5, y + 5), (18, low + 1.5))
            _arrow(ax, (37, low + 1.5), (41, y + 5))
        bars = ax.inset_axes((71, y + 1, 18, 7), transform=ax.transData)
        bars.bar(range(len(normal)), p[i], color=[base.CLASS_COLOURS[label] for label in normal])
        bars.set_xticks(range(len(normal)), [run.classes[label] for label in normal])
        bars.set(ylim=(0, 1), yticks=(0, 1), title=f"$s = {test['s'][rows[i]]:.2f}$")
    ax.set_title(base.title(run))
    return ax.figure


def architecture(runs: list[Run]) -> Figure:
    """Fig. 2 at a glance: `E_s` and `E_r` encode the image, `D` rebuilds it from both latents,
    and `C` reads the class from `z_s` and must not find it in `z_r` (R reverses the gradient).
    """
    return _networks(pictured(runs)[0], base.WIDTH / 2)


def fig2(runs: list[Run]) -> Figure:
    """Fig. 2, the five networks: in each the outputs of its layers, channels × height × width, and
    below it its number of parameters. The loss terms stand where they act, with their weights; R
    reverses the gradient (Eq. 7), and ⊕ joins two latents; C is drawn twice.
    """
    run = pictured(runs)[0]
    channels = run.images(np.array([0])).shape[1]
    return _networks(run, 6, layer_shapes(run.model(), channels, run.config.image_size))


def _networks(run: Run, inches: float, layers: dict[str, list] | None = None) -> Figure:
    """The networks, so many inches wide, with an image and its latents; layers: for the details."""
    model, (row, _) = run.model(), example_pairs(run, 1)[0]
    z_s, z_r = (torch.from_numpy(run.test[z][[row]]) for z in ("z_s", "z_r"))
    ax = _canvas(70, 68, inches)

    def network(name, left, right, y, before, after, label):
        corners = [(left, y - before), (left, y + before), (right, y + after), (right, y - after)]
        ax.add_patch(Polygon(corners, fc=NETWORK_COLOURS[name], ec="black", lw=0.8))
        middle = dict(ha="center", va="center")
        if layers is None:
            ax.text((left + right) / 2, y, f"${name}$", fontsize=10, **middle)
            return
        steps = np.linspace(left, right, 2 * len(layers[name]) + 1)[1::2]
        for x, shape in zip(steps, layers[name], strict=True):
            size = "×".join(str(n) for i, n in enumerate(shape) if n > 1 or i == 0)
            ax.text(x, y, size, rotation=90, fontsize=7, **middle)
        count = sum(p.numel() for p in getattr(model, name).parameters())
        va = "bottom" if label[1] > y else "top"
        ax.text(*label, f"${name}$\n{count:,}", ha="center", va=va)

    def terms(*names: str) -> str:
        there = {name: weight for name in names if (weight := run.config.weights[name])}
        if layers is None:
            return ", ".join(f"$L_{{{name[2:]}}}$" for name in there)
        lines = (f"${w:g}\\,L_{{{t[2:]}}}$, Eq. {EQUATIONS[t]}" for t, w in there.items())
        return "\n".join(lines)

    for name, z, latent, y in (("E_s", z_s, "$z_s$", 50), ("E_r", z_r, "$z_r$", 18)):
        network(name, 16, 28, y, 8.5, 4, (22, y - 8.9))
        _strip(ax, z[0], (31, y - 7, 3, 14), float(z.abs().max()))
        ax.text(32.5, y - 7.6, latent, ha="center", va="top", fontsize=9)
        _arrow(ax, (12, 34), (14, 34), (14, y), (15.8, y))
        _arrow(ax, (34.5, y), (39, y), (39, 36.5 if y > 34 else 31.5))
        _arrow(ax, (39, y), (46.8, y))
        network("C", 47, 54, y, 4, 4, (50.5, y + 4.4))
    network("D", 43, 54, 34, 4, 8, (51, 42.2))
    network("Ds", 58.5, 69, 17, 4, 4, (66, 21.4))
    for x_node, y_node, text in ((43, 18, "R"), (39, 34, "$\\oplus$")):
        ax.text(x_node, y_node, text, ha="center", va="center", bbox=NODE)
    _arrow(ax, (41, 34), (42.8, 34))
    _arrow(ax, (54.2, 34), (57.8, 34))
    _arrow(ax, (61, 28.2), (61, 21.2))
    _arrow(ax, (6, 28.2), (6, 3), (56.5, 3), (56.5, 17), (58.3, 17))
    _arrow(ax, (45, 41.2), (45, 63), (22, 63), (22, 58.8), dashed=True)
    _picture(ax, run.images(np.array([row]))[0], 0.5, 28.5, 11, "$x$")
    _picture(ax, decode(model, z_s, z_r)[0], 58, 28.5, 11, "$\\hat x$")
    texts = {
        (55, 50): (f"the class\n{terms('L_s')}", "left", "center"),
        (50.5, 12.5): (f"no class\n{terms('L_r')}", "center", "top"),
        (63.5, 12.5): (f"real?\n{terms('L_adv', 'L_bce')}", "center", "top"),
        (63.5, 43): (f"like $x$\n{terms('L_rec')}", "center", "bottom"),
        (33.5, 63.6): (f"a hybrid keeps its $z_s$: {terms('L_con')}", "center", "bottom"),
    }
    for (x, y), (text, ha, va) in texts.items():
        ax.text(x, y, text, ha=ha, va=va, fontsize=7.5)
    if layers:
        ax.set_title(base.title(run))
    return ax.figure


def fig3(runs: list[Run]) -> Figure:
    """Fig. 3, consistency (Eq. 9): `z_s` of x and `z_r` of another image make a hybrid, whose own
    `z_s` should be the one that went in. The second cosine is that of two different digits: were it
    also near 1, the first would be meaningless.
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
    of_s, of_r = float(torch.cat([z_s, z_s_hat]).abs().max()), float(z_r_.abs().max())

    ax = _canvas(91, 12.5 * len(pairs) + 1)
    for i in range(len(pairs)):
        y = 12.5 * (len(pairs) - 1 - i) + 1
        named = ((x[i], 0.5, "$x$"), (x_[i], 9.5, "$x'$"), (hybrid_images[i], 45, "$\\hat x'$"))
        for image, left, name in named:
            _picture(ax, image, left, y + 1, 8, name)
        strips = (
            (z_s[i], 23, y + 6, of_s, "$z_s$ of $x$"),
            (z_r_[i], 23, y + 1, of_r, "$z_r$ of $x'$"),
            (z_s[i], 57, y + 6, of_s, "$z_s$ of $x$"),
            (z_s_hat[i], 57, y + 1, of_s, "$\\hat z_s' = E_s(\\hat x')$"),
        )
        for z, left, low, limit, name in strips:
            _strip(ax, z, (left, low, 16, 2.4), limit)
            ax.text(left + 8, low + 2.5, name, ha="center", va="bottom", fontsize=7.5)
        for low in (y + 7.2, y + 2.2):
            _arrow(ax, (18, y + 5), (22.6, low))
            _arrow(ax, (39.4, low), (44.6, y + 5))
        _arrow(ax, (53.4, y + 5), (56.6, y + 2.2))
        cosine = -L_con(z_s[i : i + 1], z_s_hat[i : i + 1]).item()
        other = -L_con(z_s[i : i + 1], z_s_other[i : i + 1]).item()
        ax.text(74, y + 6, f"cosine {cosine:.3f}", va="center", weight="bold")
        ax.text(74, y + 3.2, f"$z_s$ of $x$, $x'$: {other:.3f}", va="center", fontsize=7.5)
    ax.set_title(base.title(run))
    return ax.figure


def layer_shapes(model: YGAN, channels: int, image_size: int) -> dict[str, list[tuple[int, ...]]]:
    """What each convolution or linear map of each network puts out for one image, as forward hooks
    see it: {E_s, E_r, D, C, Ds: [(channels, height, width), or (units,) in C, ...]}.
    """
    shapes = {name: [] for name, _ in model.named_children()}

    def keep(found: list, layer: nn.Module, inputs: tuple, output: Tensor) -> None:
        found.append(tuple(output.shape[1:]))

    hooks = [
        layer.register_forward_hook(partial(keep, shapes[name]))
        for name, network in model.named_children()
        for layer in network.modules()
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
    ]
    with torch.inference_mode():
        model.Ds(model(torch.zeros(1, channels, image_size, image_size))[2])
    for hook in hooks:
        hook.remove()
    return shapes


def quartile_rows(run: Run) -> np.ndarray:
    """The rows of `run.test` of Fig. 1, (2,): a normal image with the lower quartile of the normal
    test images' scores s (Eq. 12), an anomaly with the upper quartile of the anomalies'.
    """
    found = []
    for anomalous, quartile in ((False, 0.25), (True, 0.75)):
        rows = np.flatnonzero(run.test["in_test"] & (run.test["anomalous"] == anomalous))
        order = run.test["s"][rows].argsort(kind="stable")
        found.append(rows[order[round(quartile * (len(rows) - 1))]])
    return np.array(found)


def example_pairs(run: Run, count: int) -> list[tuple[int, int]]:
    """Pairs of held-back normal images, as rows of `run.test`. The first images are of different
    classes. The second is of another class than the first, and on Color-MNIST on another
    background. They are the first that fit, not the best.
    """
    label = run.test["label"]
    background = run.test.get("colour", np.arange(len(label)))
    normal = np.flatnonzero(~run.test["anomalous"])
    _, first = np.unique(label[normal], return_index=True)
    pairs = []
    for i, row in enumerate(normal[np.sort(first)[:count]]):
        others = (label[normal] != label[row]) & (background[normal] != background[row])
        pairs.append((int(row), int(normal[others][i])))
    return pairs


def _canvas(width: float, height: float, inches: float = base.WIDTH) -> Axes:
    """An empty drawing of width x height units, so many inches wide."""
    _, ax = plt.subplots(figsize=(inches, inches * height / width))
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.set_axis_off()
    return ax


def _picture(ax: Axes, image: Tensor, x: float, y: float, size: float, name: str = "") -> None:
    pixels = image.expand(3, -1, -1).permute(1, 2, 0)
    ax.imshow(pixels, extent=(x, x + size, y, y + size), interpolation="nearest")
    ax.text(x + size / 2, y + size + 0.4, name, ha="center", va="bottom")


def _strip(ax: Axes, z: Tensor, box: tuple[float, float, float, float], limit: float) -> None:
    """A latent, a line for each number, in a box (left, low, width, height)."""
    left, low, width, height = box
    how = dict(extent=(left, left + width, low, low + height), vmin=-limit, vmax=limit)
    pixels = z[None] if width > height else z[:, None]
    ax.imshow(pixels, cmap=LATENT_COLOURS, interpolation="nearest", **how)
    ax.add_patch(Rectangle((left, low), width, height, fill=False, ec="grey", lw=0.5))


def _arrow(ax: Axes, *points: tuple[float, float], dashed: bool = False) -> None:
    line = dict(color="black", lw=0.8, ls="--" if dashed else "-")
    ax.plot(*zip(*points[:-1], strict=True), **line)
    head = dict(arrowstyle="-|>", shrinkA=0, shrinkB=0, mutation_scale=7, **line)
    ax.annotate("", points[-1], points[-2], arrowprops=head)


def _color_mnist(study: Study) -> list[Job]:
    return study.select(group="color_mnist")[:1]


VIEWS = {
    "fig1": Picture(fig1, _color_mnist, "Fig. 1: the idea"),
    "architecture": Picture(architecture, _color_mnist, "Fig. 2 at a glance"),
    "fig2": Picture(fig2, _color_mnist, "Fig. 2: the networks"),
    "fig3": Picture(fig3, _color_mnist, "Fig. 3: consistency"),
}
