"""Fig. 1 to 5, which the paper draws or picks by hand, made of real images and real networks; PlantVillage's augmentation."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from ygan_core.data import DATASETS, augment, species
from ygan_core.data.augment import OPERATIONS, RANGES
from ygan_core.losses import L_con
from ygan_core.model import YGAN
from ygan_core.scores import decode, to_image
from ygan_core.study.figures.base import ANOMALOUS, CLASS_COLOURS, SPECIES_COLOURS, centres, show_grid, title
from ygan_core.study.figures.scores import first_of_each
from ygan_core.study.jobs import Job, Run, Study, View
from ygan_core.train import TERMS

LATENT_COLOURS = "PuOr"  # of a latent's values, white at 0


def fig1(runs: list[Run]) -> Figure:
    """Fig. 1, the idea: a normal and an anomalous digit (black outline), each with its kind's middle score in the test set.

    From left to right: the image x; its latents z_s and z_r, a colour a value; the reconstruction D(z_s, z_r); the same z_s
    with the mean z_r of all held-back normal images, so that what was the image's own residual is gone; the probabilities that
    C gives z_s for the normal digits, and the score s of Eq. 12.
    """
    run, model = runs[0], runs[0].model()
    test, rows = run.test, middle_rows(run)
    z_s, z_r = torch.from_numpy(test["z_s"][rows]), torch.from_numpy(test["z_r"][rows])
    mean_z_r = torch.from_numpy(test["z_r"][~test["anomalous"]].mean(axis=0))
    images, x_hat = run.images(rows), decode(model, z_s, z_r)
    without = decode(model, z_s, mean_z_r.expand_as(z_r))
    with torch.inference_mode():
        p = model.C(z_s).softmax(dim=1).numpy()

    ax = _canvas(91, 34)
    names = [name for label, name in enumerate(run.classes) if label != run.config.held_out]
    colours = [CLASS_COLOURS[label] for label in range(len(run.classes)) if label != run.config.held_out]
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
        ax.text(3.5, y + 5, f"{kind}:\na {run.classes[test['label'][rows[i]]]}", rotation=90, ha="center", va="center")
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
    """Fig. 2, the five networks as they are: every block is a layer's output, channels x height x width, left to right.

    Boxes are the loss terms, each with its weight, where they act; ⊕ joins latents, R reverses the gradient (Eq. 7). The images
    and the latents are one held-back image's; the hybrid has another image's z_r.
    """
    run, model = runs[0], runs[0].model()
    row, partner = example_pairs(run, 1)[0]
    z_s, z_r = (torch.from_numpy(run.test[z][[row]]) for z in ("z_s", "z_r"))
    x, x_hat = run.images(np.array([row]))[0], decode(model, z_s, z_r)[0]
    hybrid = decode(model, z_s, torch.from_numpy(run.test["z_r"][[partner]]))[0]
    layers = layer_shapes(model, len(x), run.config.image_size)

    ax = _canvas(99, 59.5, scale=10.5)
    encoder = _network(ax, model, "E_s", layers, 13, 17, 43)
    _network(ax, model, "E_r", layers, 13, 17, 17)
    c, d = _network(ax, model, "C", layers, 40.5, 5, 30, gap=4.3), _network(ax, model, "D", layers, 53, 18, 30)
    ds = _network(ax, model, "Ds", layers, 82, 16, 30, gap=4.3)
    _picture(ax, x, 2, 26.5, 7, "$x$")
    _picture(ax, x_hat, 73, 26.5, 7, "$\\hat x$")
    _picture(ax, hybrid, 58.5, 51.5, 7)
    ax.text(66, 55, "$\\hat x' = D(z_s \\oplus z_r')$\n$z_r'$ of another image", ha="left", va="center", fontsize=8)
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
    for i, (term, equation) in enumerate(zip(TERMS, (3, 4, 6, 8, 9, 5), strict=True), start=1):
        if weight := getattr(run.config, f"lambda_{i}"):
            x_box, y_box, line = places[term]
            ax.plot(*zip(*line, strict=True), color="grey", ls=":", lw=1) if line else None
            label = f"${weight:g}\\,L_{{{term[2:]}}}$ Eq. {equation}"
            ax.text(x_box, y_box, label, ha="center", va="center", fontsize=8, bbox=TERM_BOX)
    ax.set_title(title(run))
    return ax.figure


def fig3(runs: list[Run]) -> Figure:
    """Fig. 3, consistency (Eq. 9): z_s of x and z_r of x' make a hybrid, whose z_s should be the one that went in.

    The cosine of Eq. 9 is what training raises. Below it, for comparison, the cosine between z_s of x and z_s of x' itself,
    another digit: were that near 1 too, the consistency would be worth nothing. Three pairs of held-back normal images.
    """
    run, model = runs[0], runs[0].model()
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
        for z, bottom, name in ((z_s[i], y + 6, "$z_s$"), (z_s_hat[i], y + 1, "$\\hat z_s' = E_s(\\hat x')$")):
            _strip(ax, z, 61, bottom, 17, 2.6, ranges[0])
            ax.text(69.5, bottom + 2.7, name, ha="center", va="bottom", fontsize=8)
        cosine = -L_con(z_s[i : i + 1], z_s_hat[i : i + 1]).item()
        other = -L_con(z_s[i : i + 1], z_s_other[i : i + 1]).item()
        ax.text(79.5, y + 5.9, f"cosine {cosine:.3f}", ha="left", va="center", weight="bold")
        ax.text(79.5, y + 3.2, f"$z_s$ of $x$ and $x'$: {other:.3f}", ha="left", va="center", fontsize=7, color="dimgrey")
    ax.set_title(title(run))
    return ax.figure


def fig4(runs: list[Run]) -> Figure:
    """Fig. 4, the three benchmarks: images of each of their ten classes that no training saw, the held-out one outlined."""
    fig, axes = plt.subplots(1, len(BENCHMARKS), figsize=(9.2, 3.7))
    for ax, name in zip(axes, BENCHMARKS, strict=True):
        found = [run for run in runs if run.config.dataset == name]
        if not found:
            ax.set_title(f"{DATASETS[name].title}: no run")
            ax.set_axis_off()
            continue
        run, columns = found[0], 8
        rows = [np.flatnonzero(run.test["label"] == label)[:columns] for label in range(len(run.classes))]
        show_grid(ax, _sheet(run, rows, columns))
        ax.add_patch(Rectangle((0, run.config.held_out), columns, 1, fill=False, ec=ANOMALOUS, lw=1.5, clip_on=False, zorder=3))
        ax.set_xticks([])
        ax.set_yticks(centres(len(run.classes)), run.classes)
        ax.set_title(f"{DATASETS[name].title}\n{run.classes[run.config.held_out]} as the anomaly")
    return fig


def fig5(runs: list[Run]) -> Figure:
    """Fig. 5, PlantVillage: leaves that no training saw, by species; the diseased ones, the anomalies, outlined in black."""
    run, columns = runs[0], 3
    plants, label = species(run), run.test["label"]
    names = sorted(set(plants))
    kinds = {name: [label_ for label_, plant in enumerate(plants) if plant == name] for name in names}
    blocks = np.array_split(np.array(names), 2)
    fig, axes = plt.subplots(1, len(blocks), figsize=(9.2, 0.72 * len(blocks[0]) + 0.6))
    for ax, block in zip(axes, blocks, strict=True):
        rows = []
        for name in block:
            here = np.isin(label, kinds[name])
            healthy = np.flatnonzero(here & ~run.test["anomalous"])[:columns]
            # of several diseases one leaf each, in turn
            diseases = [np.flatnonzero((label == kind) & run.test["anomalous"]) for kind in kinds[name]]
            turns = [leaves[turn] for turn in range(columns) for leaves in diseases if turn < len(leaves)][:columns]
            rows.append(np.concatenate([healthy, np.full(columns - len(healthy), -1), turns]).astype(int))
            for place in range(columns, columns + len(turns)):
                ax.add_patch(
                    Rectangle((place + 0.03, len(rows) - 0.97), 0.94, 0.94, fill=False, ec=ANOMALOUS, lw=1.8, zorder=3)
                )
            for place, here in ((columns / 2, healthy), (columns * 1.5, turns)):
                if not len(here):
                    ax.text(place, len(rows) - 0.5, "none", ha="center", va="center", fontsize=8, color="dimgrey")
        show_grid(ax, _sheet(run, rows, 2 * columns))
        ax.set_anchor("N")
        ax.set_xticks([columns / 2, columns * 1.5], ["healthy", "diseased"])
        ax.set_yticks(centres(len(block)), block)
        ax.tick_params(labelbottom=False, labeltop=True)
    size = run.config.image_size
    species_here = f"{len(names)} of its {len(SPECIES_COLOURS)} species"
    fig.suptitle(f"PlantVillage: {species_here}, {len(plants)} classes, {size} × {size} pixels", fontsize=9)
    return fig


def plantvillage_augmentation(runs: list[Run]) -> Figure:
    """Augmentation of PlantVillage (section 4.2). Top: each operation at its lowest, middle and highest strength, of affine
    in degrees, growth, and shift to the right and down.

    Below: healthy leaves of five species as they are, first, and as training may see them, each operation at random or not.
    """
    run, turns = runs[0], 7
    plants = np.array(species(run))[run.test["label"]]
    normal = np.flatnonzero(~run.test["anomalous"])
    _, first = np.unique(plants[normal], return_index=True)
    leaves = run.images(normal[np.sort(first)[:5]])

    fig = plt.figure(figsize=(9.2, 10.4))
    top, bottom = fig.subfigures(2, 1, height_ratios=(3.9, len(leaves)))
    axes = top.subplots(3, len(OPERATIONS) + 1)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        plt.setp(ax.spines.values(), visible=False)
    for ax in axes[1:, 0]:
        ax.set_axis_off()
    axes[0, 0].imshow(leaves[0].permute(1, 2, 0))
    axes[0, 0].set_title("as it is")
    leaf = leaves[:1].float() / 255
    for column, (name, operation) in zip(axes.T[1:], OPERATIONS.items(), strict=True):
        low, high = torch.tensor(RANGES[name])
        for ax, strength in zip(column, (low, (low + high) / 2, high), strict=True):
            ax.imshow(to_image(2 * operation(leaf, strength[None]) - 1)[0].permute(1, 2, 0))
            numbers = [f"{value:g}" for value in strength.numpy().round(3)]
            ax.set_xlabel(",\n".join(", ".join(numbers[i : i + 2]) for i in range(0, len(numbers), 2)), fontsize=7, labelpad=2)
        column[0].set_title(name)
    for ax, strength in zip(axes[:, 1], ("lowest", "middle", "highest"), strict=True):
        ax.set_ylabel(strength)
    many = [leaves] + [to_image(augment(leaves, seed)) for seed in range(turns)]
    ax = bottom.subplots()
    show_grid(ax, torch.stack(many, dim=1))
    ax.set(xticks=[0.5, 1 + turns / 2], yticks=[])
    ax.set_xticklabels(["as they are", "augmented"])
    ax.tick_params(labelbottom=False, labeltop=True)
    at_work = "used" if run.config.augmentation == "leaves" else "not used"
    fig.suptitle(f"{title(run)}; augmentation {at_work}", fontsize=9)
    return fig


def layer_shapes(model: YGAN, channels: int, image_size: int) -> dict[str, list[tuple[int, ...]]]:
    """What each convolution or linear map of each network puts out for one image, in the order of the flow.

    {E_s, E_r, D, C, Ds: [(channels, height, width), or (units,) in C, ...]}, as forward hooks see it on a zero image.
    """
    shapes = {name: [] for name, _ in model.named_children()}
    hooks = [
        layer.register_forward_hook(lambda *called, own=shapes[name]: own.append(tuple(called[2].shape[1:])))
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
    """The normal and the anomalous image, as rows of `run.test`, whose s (Eq. 12) is the middle one of their kind: (2,)."""
    kinds = [np.flatnonzero(run.test["in_test"] & (run.test["anomalous"] == kind)) for kind in (False, True)]
    return np.array([rows[run.test["s"][rows].argsort(kind="stable")[len(rows) // 2]] for rows in kinds])


def example_pairs(run: Run, count: int) -> list[tuple[int, int]]:
    """Pairs of held-back normal images, as rows of `run.test`: each of a class not had yet, its partner of another class, of
    Color-MNIST on another ground too. They are the first that fit, not the best.
    """
    label = run.test["label"]
    ground = run.test.get("colour", np.arange(len(label)))
    normal = np.flatnonzero(~run.test["anomalous"])
    _, first = np.unique(label[normal], return_index=True)
    firsts = normal[np.sort(first)[:count]]
    partners = [normal[(label[normal] != label[row]) & (ground[normal] != ground[row])] for row in firsts]
    return [(int(row), int(fits[i])) for i, (row, fits) in enumerate(zip(firsts, partners, strict=True))]


TERM_BOX = dict(boxstyle="round,pad=0.25", fc="lightyellow", ec="grey", lw=0.6)


def _canvas(width: float, height: float, scale: float = 10) -> Axes:
    """An empty drawing of width x height units, `scale` of them an inch."""
    _, ax = plt.subplots(figsize=(width / scale, height / scale))
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.set_axis_off()
    return ax


def _picture(ax: Axes, image: Tensor, x: float, y: float, size: float, name: str = "", outlined: bool = False) -> None:
    ax.imshow(image.expand(3, -1, -1).permute(1, 2, 0), extent=(x, x + size, y, y + size), interpolation="nearest")
    if outlined:
        ax.add_patch(Rectangle((x - 0.2, y - 0.2), size + 0.4, size + 0.4, fill=False, ec=ANOMALOUS, lw=2, zorder=3))
    ax.text(x + size / 2, y + size + 0.4, name, ha="center", va="bottom")


def _strip(ax: Axes, z: Tensor, x: float, y: float, width: float, height: float, limit: float, upright: bool = False) -> None:
    pixels = z[:, None] if upright else z[None]
    ax.imshow(
        pixels, extent=(x, x + width, y, y + height), cmap=LATENT_COLOURS, vmin=-limit, vmax=limit, interpolation="nearest"
    )
    ax.add_patch(Rectangle((x, y), width, height, fill=False, ec="grey", lw=0.5))


def _arrow(ax: Axes, *points: tuple[float, float], dashed: bool = False) -> None:
    line = dict(color="black", lw=0.8, ls="--" if dashed else "-")
    ax.plot(*zip(*points[:-1], strict=True), **line)
    ax.annotate("", points[-1], points[-2], arrowprops=dict(arrowstyle="-|>", shrinkA=0, shrinkB=0, mutation_scale=7, **line))


def _network(
    ax: Axes, model: YGAN, name: str, layers: dict[str, list], left: float, width: float, y: float, gap: float = 0.6
) -> float:
    """A block a layer, the taller the larger its maps, and `gap` below them its name and size; the height of the tallest."""
    step, heights = width / len(layers[name]), []
    for i, shape in enumerate(layers[name]):
        heights.append(6.5 + 1.3 * np.log2(shape[-1]) if len(shape) == 3 else 5)
        x = left + i * step
        ax.add_patch(Rectangle((x, y - heights[i] / 2), 0.8 * step, heights[i], fc=NETWORK_COLOURS[name], ec="black", lw=0.6))
        sizes = [n for i, n in enumerate(shape) if n > 1 or i == 0]
        ax.text(x + 0.4 * step, y, "×".join(map(str, sizes)), rotation=90, ha="center", va="center", fontsize=7)
    count = sum(p.numel() for p in getattr(model, name).parameters())
    below = y - max(heights) / 2 - gap
    ax.text(left + width / 2, below, f"${name}$\n{count:,} parameters", ha="center", va="top", fontsize=8)
    return max(heights)


NETWORK_COLOURS = {"E_s": "#cfe3f3", "E_r": "#fbe3c6", "D": "#dcead3", "C": "#e6dcf0", "Ds": "#ececec"}


def _sheet(run: Run, rows: list[np.ndarray], columns: int) -> Tensor:
    """Images at these rows of `run.test` as tiles uint8 (len(rows), columns, 3, S, S); a row -1, or none, is left white."""
    padded = np.array([np.pad(row, (0, columns - len(row)), constant_values=-1) for row in rows])
    images = run.images(padded[padded >= 0]).expand(-1, 3, -1, -1)
    tiles = torch.full((*padded.shape, *images.shape[1:]), 255, dtype=torch.uint8)
    tiles[torch.from_numpy(padded >= 0)] = images
    return tiles


BENCHMARKS = ("mnist", "fmnist", "cifar10")


def _color_mnist(study: Study) -> list[Job]:
    return study.select(dataset="color_mnist")[:1]


def _first_of(*datasets: str) -> Callable[[Study], list[Job]]:
    return lambda study: [job for job in first_of_each(study) if job.config.dataset in datasets]


VIEWS = {
    **{f.__name__: View(f, _color_mnist) for f in (fig1, fig2, fig3)},
    "fig4": View(fig4, _first_of(*BENCHMARKS)),
    **{f.__name__: View(f, _first_of("plantvillage")) for f in (fig5, plantvillage_augmentation)},
}
