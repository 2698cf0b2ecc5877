"""The pictures of the class tour, notebooks/00_tour.ipynb: each a function of plain values, so that
a slider can show it again.

Runs are networks that come with the repository; `live` trains a small one in half a minute.
"""

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve
from torch import Tensor

from ygan_core import metrics, scores
from ygan_core.config import TERMS
from ygan_core.data import COLOURS, color_mnist, load, sub_classes
from ygan_core.model import YGAN
from ygan_study.engine import Trainer
from ygan_study.engine.threads import one_thread
from ygan_study.measure.evaluation import latent_scores, reconstruction_scores
from ygan_study.methods import train
from ygan_study.methods.weak_labels import FORMS, purity, weak_labels
from ygan_study.plan.images import prepare
from ygan_study.plan.profiles import profile_settings
from ygan_study.plan.settings import Settings
from ygan_study.report.figures.base import (
    ANOMALOUS,
    CLASS_COLOURS,
    NORMAL,
    centres,
    show_grid,
    tiled,
)
from ygan_study.report.figures.explained import LATENT_COLOURS, fig2
from ygan_study.report.figures.qualitative import edge_cases, grad_cam, heated
from ygan_study.report.printed import score_name
from ygan_study.report.style import style
from ygan_study.run.folder import Run
from ygan_study.run.store import Study


def picture(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """`draw` in the study's style; its figure is closed, so that a notebook shows it once."""

    @functools.wraps(draw)
    def styled(*values, **named) -> Figure:
        with style():
            fig = draw(*values, **named)
        plt.close(fig)
        return fig

    return styled


def called(run: Run, images: Tensor, between: str = ", ") -> list[str]:
    """What C takes images for, uint8 (n, 3, S, S), and their scores (Eq. 12), in words."""
    logits = scores.classify(run.model(), images)
    names, s = run.normal_classes, scores.s(logits)
    winners = zip(logits.argmax(dim=1).tolist(), s.tolist(), strict=True)
    return [f"$C$: a {names[i]}{between}$s$ = {value:.2f}" for i, value in winners]


def examples(run: Run) -> dict[str, int]:
    """A test image of each digit, the held-out one last, each on another background: the row of
    run.test by what it shows."""
    digits, found = [*run.normal_classes, run.config.held_out], {}
    for colour, (name, digit) in enumerate(zip(COLOURS, digits, strict=True)):
        fits = (run.test["label"] == digit) & (run.test["colour"] == colour)
        found[f"{name} {digit}"] = int(np.flatnonzero(fits)[0])
    return found


def _short(run: Run) -> str:
    return f"{run.config.configuration.partition(',')[0]}, {run.config.epochs} epochs"


def _tile(ax: Axes, image: Tensor, above: str = "", below: str = "") -> None:
    ax.imshow(image.permute(1, 2, 0), interpolation="nearest")
    _bare(ax, title=above, xlabel=below)


def _bare(ax: Axes, **texts: str) -> None:
    ax.set(xticks=[], yticks=[], **texts)
    sns.despine(ax=ax, left=True, bottom=True)


@picture
def networks(run: Run) -> Figure:
    """Fig. 2, the five networks of a run."""
    return fig2([run])


@picture
def latents(run: Run, images: Tensor) -> Figure:
    """Images uint8 (n, 3, S, S), a row each: x, z_s and z_r (Eq. 1), x_hat (Eq. 2), the
    probabilities of C and s (Eq. 12). Of the latents their mean over run.test is taken off."""
    model, names = run.model(), run.normal_classes
    here = scores.encode(model, images)
    x_hat, s = scores.decode(model, here.z_s, here.z_r), scores.s(here.logits)
    size = dict(figsize=(8.6, 1.75 * len(images)), width_ratios=(1, 1, 1, 1, 2))
    fig, axes = plt.subplots(len(images), 5, squeeze=False, **size)
    for i, row in enumerate(axes):
        _tile(row[0], images[i], "$x$")
        for ax, name in zip(row[1:3], ("z_s", "z_r"), strict=True):
            z = getattr(here, name)[i] - torch.from_numpy(run.test[name]).mean(dim=0)
            limit = float(z.abs().max())
            ax.imshow(z.unflatten(0, (-1, 10)), cmap=LATENT_COLOURS, vmin=-limit, vmax=limit)
            _bare(ax, title=f"${name}$: {len(z)} numbers")
        _tile(row[3], x_hat[i], "$D(z_s, z_r)$")
        p = here.logits[i].softmax(dim=0).numpy()
        row[4].bar(range(len(names)), p, color=[CLASS_COLOURS[name] for name in names])
        row[4].set_xticks(range(len(names)), names)
        row[4].set(ylim=(0, 1), title=f"$p = C(z_s)$,  $s = 1 - \\max_i\\,p_i = {s[i]:.2f}$")
    return fig


@picture
def swap(run: Run, a: int, b: int) -> Figure:
    """Rows a and b of run.test and their hybrids (Fig. 6a), with what C says and, of a hybrid, the
    cosine of Eq. 9."""
    model, pair = run.model(), run.images(np.array([a, b]))
    here = scores.encode(model, pair)
    hybrids = scores.decode(model, here.z_s, here.z_r.flip(0))
    cosines = torch.cosine_similarity(here.z_s, scores.encode(model, hybrids).z_s)
    tiles = torch.cat([pair, hybrids])
    below = called(run, tiles)
    for i, cosine in enumerate(cosines, start=2):
        below[i] += f"\ncosine (Eq. 9): {cosine:.2f}"
    names = ("A", "B", "$D(z_s$ of A, $z_r$ of B)", "$D(z_s$ of B, $z_r$ of A)")
    fig, axes = plt.subplots(1, 4, figsize=(8.6, 3))
    for ax, *tile in zip(axes, tiles, names, below, strict=True):
        _tile(ax, *tile)
    apart = torch.cosine_similarity(*here.z_s.split(1)).item()
    fig.suptitle(f"{_short(run)}; cosine between the $z_s$ of A and of B: {apart:.2f}", fontsize=9)
    return fig


@picture
def walk(run: Run, a: int, b: int, s: float, r: float) -> Figure:
    """From row a of run.test to row b: z_s goes the share s of the way, z_r the share r, in [0, 1].

    Top: all of z_s's way at this r; below: all of z_r's at this s. Right: the score (Eq. 12) of
    each decoded image.
    """
    model, stops = run.model(), torch.linspace(0, 1, 9)[:, None]
    here = scores.encode(model, run.images(np.array([a, b])))

    def decoded(s: Tensor, r: Tensor) -> Tensor:
        z_s, z_r = torch.lerp(*here.z_s, s), torch.lerp(*here.z_r, r)
        return scores.decode(model, *torch.broadcast_tensors(z_s, z_r))

    s_, r_ = torch.tensor([[s]]), torch.tensor([[r]])
    fig, axes = plt.subplot_mosaic(
        [["s", "s", "now", "score"], ["r", "r", "now", "score"]],
        figsize=(9.4, 2.3),
        width_ratios=(2.5, 2.5, 1.4, 2.1),
    )
    ways = {
        "s": (decoded(stops, r_), s, "-", f"$z_s$ walks, $z_r$ at {r:.2f}"),
        "r": (decoded(s_, stops), r, "--", f"$z_r$ walks, $z_s$ at {s:.2f}"),
    }
    for name, (strip, place, line, heading) in ways.items():
        show_grid(axes[name], strip[None])
        axes[name].plot(0.5 + place * (len(stops) - 1), 1.15, "^", color="crimson", clip_on=False)
        axes[name].set_title(heading)
        s_along = scores.s(scores.classify(model, strip))
        axes["score"].plot(stops[:, 0], s_along, line, color=NORMAL, marker=".", label=heading)
    now = decoded(s_, r_)
    _tile(axes["now"], now[0], "here", called(run, now)[0])
    labels = dict(xlabel="share of the way from A to B", ylabel="$s$ of the decoded image")
    axes["score"].set(ylim=(-0.03, 1), **labels)
    axes["score"].legend()
    return fig


@dataclass(frozen=True)
class Live:
    """A training that was just done.

    losses: the mean of each term by epoch. stages: by epoch, 0 before the training, lambda_R and
    accuracies on held-back normal images, of what C reads from z_r (digit) and of what a new linear
    classifier does (probe_digit, probe_colour). models: as they were then. images: uint8
    (n, 3, S, S), held back, to show.
    """

    config: Settings
    losses: pd.DataFrame
    stages: pd.DataFrame
    models: list[YGAN]
    images: Tensor


@one_thread()
def live(study: Study) -> Live:
    """Train `balanced` on a part of the starter pack: half a minute of one core.

    In the smoke profile a few seconds. The study's settings, device and precision count. Raises
    ConfigError.
    """
    smoke = study.profile == "smoke"
    short = {} if smoke else dict(width=8, images_per_class=400, batch_size=32, epochs=8)
    profile = "smoke" if smoke else "quick"
    config = profile_settings(profile, "color_mnist", "balanced", {**short, **study.settings})
    data, parts = prepare(config)
    y, stages, models = sub_classes(data, *config.outside), [], []
    there = [
        (data.images[rows], y[rows], data.colours[rows]) for rows in (parts.train, parts.held_back)
    ]
    (images, digits, colours), (images_test, digits_test, colours_test) = there

    def keep(lambda_R: float, model: YGAN) -> None:
        models.append(copy.deepcopy(model).cpu())
        z, z_test = (scores.encode(models[-1], x).z_r for x in (images, images_test))
        with torch.inference_mode():
            right = models[-1].C(z_test).argmax(dim=1) == digits_test
        stages.append(
            {
                "lambda_R": lambda_R,
                "digit": right.double().mean().item(),
                "probe_digit": metrics.linear_probe(z, digits, z_test, digits_test),
                "probe_colour": metrics.linear_probe(z, colours, z_test, colours_test),
            }
        )

    keep(0.0, Trainer.build(config, data.images.shape[1], int(digits.max()) + 1))
    how = dict(device=study.device, precision=study.precision, title="live training")
    how["callbacks"] = [lambda epoch: keep(epoch.losses["lambda_R"], epoch.model)]
    trained = train(config, images, digits, **how)
    history = pd.DataFrame(trained.history, index=range(1, config.epochs + 1))
    shown = [int((digits_test == digit).nonzero()[0]) for digit in digits_test.unique()]
    return Live(config, history, pd.DataFrame(stages), models, images_test[shown])


@picture
def objective(live: Live) -> Figure:
    """The six loss terms by epoch, unweighted, each with its equation and its weight."""
    fig, axes = plt.subplots(2, 3, figsize=(8.6, 3.6), sharex=True)
    equations = zip(TERMS, (3, 4, 6, 8, 9, 5), strict=True)
    for number, (ax, (term, equation)) in enumerate(
        zip(axes.flat, equations, strict=True), start=1
    ):
        if term in live.losses:
            ax.plot(live.losses.index, live.losses[term], marker=".", color=NORMAL)
        if term in ("L_s", "L_r"):
            ax.axhline(np.log(len(live.images)), color="grey", lw=0.6, ls="--", label="guessing")
            ax.legend()
        weight = f"weight $\\lambda_{number} = {live.config.weights[term]:g}$"
        ax.set_title(f"$L_{{{term[2:]}}}$ (Eq. {equation}), {weight}")
    for ax in axes[1]:
        ax.set_xlabel("epoch")
    return fig


@picture
def reversal(live: Live, epoch: int) -> Figure:
    """What z_r gives away as lambda_R grows (Eq. 7, 8), the epoch marked; and hybrids of the
    networks as they were then."""
    stages, now, model = live.stages, live.stages.loc[epoch], live.models[epoch]
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.1), width_ratios=(1.5, 1))
    kinds = {
        "probe_colour": ("colour, as a new linear classifier finds it", CLASS_COLOURS[1], "^-"),
        "probe_digit": ("digit, as a new linear classifier finds it", CLASS_COLOURS[0], "s-"),
        "digit": ("digit, as $C$ finds it", CLASS_COLOURS[2], "o-"),
        "lambda_R": ("$\\lambda_R$, the strength of the reversal", "grey", ":"),
    }
    for column, (name, colour, line) in kinds.items():
        left.plot(stages.index, stages[column], line, color=colour, ms=4, label=name)
    left.axvline(epoch, color=ANOMALOUS, lw=1.5)
    left.set(ylim=(0, 1.05), xlabel="epoch", ylabel="read from $z_r$", xticks=stages.index)
    left.set_title(
        f"epoch {epoch}: $\\lambda_R$ = {now['lambda_R']:.2f}; "
        f"$C$ finds the digit in {now['digit']:.0%} of all $z_r$"
    )
    fig.legend(loc="outside lower left", ncols=2)
    here = scores.encode(model, live.images)
    tops, lefts = live.images[:5], live.images[5:8]
    grid = scores.swap(model, here.z_s[:5], here.z_r[5:8])
    white = torch.full_like(tops[:1], 255)
    rows = torch.cat([torch.cat([white, tops])[None], torch.cat([lefts[:, None], grid], dim=1)])
    show_grid(right, rows)
    right.set_title("hybrids at this epoch")
    right.set(xlabel="columns: $z_s$ of the top image", ylabel="rows: $z_r$ of the left image")
    return fig


@picture
def threshold(run: Run, t: float) -> Figure:
    """Scores of the test set (Eq. 12) and their ROC curve; an image above t is called anomalous."""
    test = run.test["in_test"]
    s, truth = run.scores[test], run.test["anomalous"][test]
    tpr, tnr = metrics.rates(s, truth, t)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.1), width_ratios=(1.6, 1))
    bins = np.linspace(0, 0.9, 46)
    sns.histplot(x=s[~truth], bins=bins, color=NORMAL, label="normal", ax=left, linewidth=0)
    outline = dict(color=ANOMALOUS, label="anomalous", fill=False, element="step")
    sns.histplot(x=s[truth], bins=bins, ax=left, **outline)
    left.axvspan(t, 0.9, color="crimson", alpha=0.08, label="called anomalous")
    left.axvline(t, color="crimson")
    left.set(xlim=(0, 0.9), xlabel="$s = 1 - \\max_i\\,p_i$ (Eq. 12)", ylabel="images")
    left.legend()
    left.set_title(f"above {t:.2f}: {tpr:.0%} of the anomalies, {1 - tnr:.0%} of the normal images")
    right.plot(*roc_curve(truth, s)[:2], color=NORMAL)
    right.plot((0, 1), (0, 1), color="grey", lw=0.6, ls="--")
    right.plot(1 - tnr, tpr, "o", color="crimson")
    right.set(aspect="equal", title=f"ROC curve: AUC {metrics.auc(s, truth):.3f}")
    right.set(xlabel="normal images called anomalous", ylabel="anomalies called so (TPR)")
    fig.suptitle(_short(run), fontsize=9)
    return fig


@picture
@one_thread()  # as `live`: on a busy machine two threads wait for each other
def score_family(runs: Sequence[Run]) -> Figure:
    """The AUC of the scores of Eq. 12 to 18, without s_zw, on the test images of the starter pack;
    a colour for each network."""
    table = {}
    for run in runs:
        data = color_mnist(run.config.image_size, "starter", run.config.split_seed)
        known = torch.isin(data.index, torch.from_numpy(run.test["index"]))
        normal = (data.labels != run.config.held_out) & ~known
        z_s = scores.encode(run.model(), data.images[normal]).z_s
        tested = np.flatnonzero(run.test["in_test"])
        images = run.images(tested)
        here = scores.encode(run.model(), images)
        found = reconstruction_scores(run.model(), images, here)
        found |= latent_scores(here, z_s, data.labels[normal])
        truth = run.test["anomalous"][tested]
        table[_short(run)] = {
            score_name(name, math=True): metrics.auc(s, truth) for name, s in found.items()
        }
    fig, ax = plt.subplots(figsize=(8.6, 2.6))
    pd.DataFrame(table).plot.bar(ax=ax, rot=0, width=0.8, color=CLASS_COLOURS, legend=False)
    for bars in ax.containers:
        ax.bar_label(bars, fmt="%.2f", fontsize=7)
    ax.axhline(0.5, color="grey", lw=0.8, ls="--")
    ax.set(ylim=(0, 1.08), ylabel="AUC")
    fig.legend(loc="outside lower center", ncols=len(runs))
    return fig


@picture
@one_thread()
def clusters(per_class: int = 60) -> Figure:
    """Weak labels (section 6.3) of the MNIST digits 1 to 9: the images of each cluster, the larger
    ones first."""
    data = load("mnist", 32, "starter")
    few = [(data.labels == label).nonzero().flatten()[:per_class] for label in range(1, 10)]
    data = data.take(torch.cat(few))
    found = weak_labels(data.images)[next(iter(FORMS))]
    largest = found.labels.bincount().argsort(descending=True)
    rows = [tiled(data.images[found.labels == cluster][:34], 1, 34) for cluster in largest]
    fig, ax = plt.subplots(figsize=(8.6, 0.25 * found.k + 0.4))
    show_grid(ax, torch.cat(rows))
    purest, network = purity(found.labels, data.labels), found.network.split()[0]
    ax.set_ylabel("a row a cluster")
    ax.set_title(f"{found.k} clusters of {len(data)} digits, purity {purest:.2f} ({network})")
    return fig


@picture
def mistakes(run: Run, count: int = 6) -> Figure:
    """Section 6.4: the normal images of highest s, the anomalies of lowest s; under each, by
    Grad-CAM, where C looks."""
    headings = {False: "normal, yet $s$ is high", True: "anomalous, yet $s$ is low"}
    fig, axes = plt.subplots(1, 2, figsize=(8.6, 2.2))
    for ax, (anomalous, heading) in zip(axes, headings.items(), strict=True):
        images = run.images(edge_cases(run, anomalous)[:count])
        show_grid(ax, torch.stack([images, heated(images, grad_cam(run.model(), images, steps=1))]))
        ax.set_xticks(centres(count), called(run, images, between="\n"))
        ax.set_title(heading)
    return fig
