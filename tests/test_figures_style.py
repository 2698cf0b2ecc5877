"""What holds of every figure: its look, its sizes, its words, its files."""

import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_up import like, rows_of, ten, training
from matplotlib.text import Text

from ygan_study.report.figures import FIGURES, base, tsne
from ygan_study.report.style import style
from ygan_study.report.view import NotTrained
from ygan_study.report.views import save
from ygan_study.run.folder import MissingWeights, Run
from ygan_study.run.records import write_record


@pytest.fixture(scope="module")
def runs(smoke, color, ygan_of):
    """What each picture is drawn of: runs of the smoke profile, or made-up ones."""
    study, of_color = smoke[0], list(smoke[1].values())
    first = {name: ygan_of(name) for name in ("mnist", "cifar10", "plantvillage")}
    tens = [first["mnist"], study.run(study.select(dataset="mnist", group="classifier")[0])]
    losses = pd.DataFrame(np.random.RandomState(0).rand(20, 4), pd.RangeIndex(1, 21, name="epoch"))
    losses.columns = ["auc", "normal_accuracy", "auc_averaged", "normal_accuracy_averaged"]
    curve = {str(k): 1 / k for k in range(2, 21)}
    clusters = dict(weak_labels={"silhouette": {"cosine": curve, "as_written": curve}})
    weak = like(first["mnist"], metrics={"classes": 9}, about=clusters)
    code = [like(tens[0], {"name": "paper", "deviation": kind}) for kind in ("none", "mirrored")]
    leaves, every = [first["plantvillage"]], list(first.values())
    found = {name: [first["cifar10"]] for name, view in FIGURES.items() if view.of == "runs"}
    found |= dict.fromkeys(("fig1", "architecture", "fig2", "fig3"), [color])
    names = ("scores", "losses", "samples")
    found |= dict.fromkeys(map("color_mnist_{}".format, names), of_color)
    found |= dict.fromkeys(("fig6a", "swaps", "fig6b"), of_color)
    names = ("fig5", "plantvillage_augmentation", "fig11", "tsne_plantvillage")
    found |= dict.fromkeys(names, leaves)
    found |= {"fig4": tens[:1], "silhouette": [weak], "paper_size": [like(tens[0], losses=losses)]}
    found |= {"best_epoch": tens, "code_epochs": code, "fig9": every, "score_distributions": every}
    return found | {"fig10": [first["mnist"], first["cifar10"]]}


@pytest.fixture(scope="module")
def rows():
    """What each plot is made of: rows of runs.csv with made-up numbers."""
    scores = {f"auc_{name}": 0.8 for name in ("s", "s_zp", "kNN")}
    scores |= dict(normal_accuracy=0.9, training_operations=1e12, training_images=50_000)
    plain = dict(method="classifier", configuration="classifier")
    strong = dict(method="strong", configuration="strong", width=32, epochs=10)
    whole = ten(0.9, metrics=scores, averaged=0.9)
    usual = whole + ten(0.8, metrics=scores, averaged=0.8, **plain)
    usual += ten(0.7, dataset="cifar10", metrics=scores, **strong)
    usual += ten(0.6, dataset="cifar10", metrics=scores, configuration="whitened")
    others = {
        "ablation_costs": dict(variant="A1"),
        "weak_label_costs": dict(labels="weak"),
        "deviation_dots": dict(deviation="norm_first", configuration="paper"),
    }
    each = {name: [training(auc=0.5, **how, metrics=scores)] for name, how in others.items()}
    found = {name: rows_of(*usual) for name, view in FIGURES.items() if view.of != "runs"}
    found |= {name: rows_of(*whole, *own) for name, own in each.items()}
    return found | {"coverage": rows_of(*usual, *(own for (own,) in each.values()))}


@pytest.fixture(scope="module")
def drawn(runs, rows):
    """Every figure, in the style. t-SNE takes seconds, and nothing here hangs on it."""
    figures = {}
    with pytest.MonkeyPatch.context() as patch, style():
        patch.setattr(tsne, "tsne", lambda z: z[:, :2])
        for name, view in FIGURES.items():
            figures[name] = view.make((runs if view.of == "runs" else rows)[name])
            plt.close(figures[name])
    return figures


def test_no_text_is_below_seven_points_and_no_figure_wider_than_a_page(drawn):
    for name, fig in drawn.items():
        texts = [text for text in fig.findobj(Text) if text.get_text().strip()]
        assert texts and min(text.get_fontsize() for text in texts) >= 7, name
        assert fig.get_figwidth() <= base.WIDTH, name


def test_every_figure_has_an_alt_text_and_a_caption_of_one_or_two_sentences():
    for name, view in FIGURES.items():
        caption = re.sub(r"\b(Fig|Eq|al|vs)\.", "", view.caption)
        assert 1 <= len(re.findall(r"[.?](?=\s|$)", caption)) <= 2, (name, caption)
        assert view.alt.endswith(".") and view.title and view.alt != view.caption, name


def test_the_style_does_not_hang_on_a_users_settings(color):
    users = {"image.origin": "lower", "text.color": "white", "font.size": 30, "text.usetex": True}
    settings, pictures = [], []
    for given in ({}, users):
        with mpl.rc_context(given), style():
            settings.append(plt.rcParams.copy())
            fig = FIGURES["swaps"].make([color])
            fig.canvas.draw()
        pictures.append(fig.canvas.buffer_rgba())
    assert settings[0] == settings[1] and np.array_equal(*pictures)
    assert fig.axes[0].images[0].origin == "upper" and fig.axes[0].yaxis_inverted()  # digits stand


def test_a_figure_is_drawn_and_saved(smoke, results, color, read_json):
    save(smoke[0], "fig2", [color])
    for ending in ("png", "pdf", "webp", "json", "md"):
        assert (results / f"smoke/figures/fig2.{ending}").stat().st_size > 100
    assert FIGURES["fig2"].alt in (results / "smoke/figures/fig2.md").read_text()
    about = read_json(results / "smoke/figures/fig2.json")
    assert about["profile"] == "smoke" and color.job.id in str(about)
    with pytest.raises(NotTrained, match="nothing of fig2 is trained"):
        save(smoke[0], "fig2", [])


def test_a_record_is_drawn_from_its_own_files(smoke, color, monkeypatch):
    study, _ = smoke
    record = write_record(study, color)
    monkeypatch.setattr(type(study), "path", lambda *_: study.root / "nowhere")
    shown = base.pictured([record])[0]
    assert 0 < len(shown.test["index"]) <= len(color.test["index"])
    assert shown.metrics["auc"] == color.metrics["auc"]
    assert FIGURES["fig1"].make([record]).axes and FIGURES["fig6a"].make([record]).axes


def test_a_record_without_networks_is_left_out_of_pictures(color, tmp_path):
    bare = Run(color.job, tmp_path)
    bare.__dict__["test"] = color.test
    assert base.pictured([bare, color]) == [color]
    with pytest.raises(MissingWeights, match="a record without weights"):
        base.pictured([bare])


def test_a_map_is_made_once_and_anew_of_other_latents(smoke, color, monkeypatch, tmp_path):
    monkeypatch.setattr(Run, "cache", tmp_path)
    calls = []
    monkeypatch.setattr(tsne, "tsne", lambda z: calls.append(len(z)) or z[:, :2])
    rows = np.arange(20)
    both = [(color, "z_s", rows), (color, "z_r", rows)]
    first, again = tsne.maps(both), tsne.maps(both)
    assert calls == [20, 20] and np.array_equal(first, again)
    assert np.array_equal(first[1], color.test["z_r"][rows, :2])
    tsne.maps([(color, "z_s", rows[:19])])
    assert calls == [20, 20, 19]
