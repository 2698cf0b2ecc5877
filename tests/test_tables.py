"""Tables 1 to 6, their verdicts and the page, from made-up runs whose numbers are known, and from the smoke profile's."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from ygan_core.config import profile_config
from ygan_core.data.datasets import REPOSITORY
from ygan_core.study import Job, Run, report, tables
from ygan_core.study.__main__ import main
from ygan_core.study.figures import FIGURES
from ygan_core.study.page import SECTIONS, markdown, write_page
from ygan_core.study.variants import classifier, variant

CLASSES = {"mnist": "0123456789", "cifar10": "Airplane Car Bird Cat Deer Dog Frog Horse Ship Truck".split()}


def made_up(auc, dataset="mnist", held_out=0, seed=0, method="ygan", change=None, species=14, **metrics):
    config = profile_config("quick", dataset, "balanced")
    config = replace(config, seed=seed, held_out=-1 if dataset == "plantvillage" else held_out)
    config = classifier(config) if method == "classifier" else replace(config, method=method)
    if change:
        config = variant(config, change)
    run = Run(Job(config), Path("nowhere"))
    run.__dict__["about"] = {
        "metrics": {"auc": auc, **metrics},
        "classes": list(
            CLASSES.get(dataset, [f"species {i}___{state}" for i in range(species) for state in ("healthy", "scab")])
        ),
        "images": {"train": 1000},
        "seconds": 60.0,
        "inference_us": 50.0,
    }
    return run


def test_the_papers_rows_are_as_printed():
    table = tables.benchmark(1, [])
    printed = pd.read_csv(REPOSITORY / "data/paper_tables/table1_mnist.csv").set_index("model")
    assert list(table.index.get_level_values("source").unique()) == ["paper"]
    assert table.loc[("paper", "Y-GAN", "", ""), "mean"] == printed.loc["Y-GAN", "mean"] == 0.987
    assert len(table) == 9 and table.loc[("paper", "OCGAN", "", ""), "9"] == printed.loc["OCGAN", "9"]


def test_a_whole_row_has_mean_deviation_and_difference():
    auc = np.linspace(0.90, 0.99, 10)
    table = tables.benchmark(1, [made_up(value, held_out=i) for i, value in enumerate(auc)])
    row, gap = table.loc[("ours", "Y-GAN", "", "balanced")], table.loc[("ours - paper", "Y-GAN", "", "balanced")]
    assert row["mean"] == pytest.approx(auc.mean()) and row["std"] == pytest.approx(auc.std()) and row["n"] == 10
    assert gap["mean"] == pytest.approx(auc.mean() - 0.987) and gap["0"] == pytest.approx(0.90 - 0.993)
    assert "cells" not in table or pd.isna(row["cells"])


def test_a_mean_over_fewer_classes_names_them_and_has_no_difference():
    table = tables.benchmark(1, [made_up(0.9, held_out=4), made_up(0.8, held_out=7)])
    row, gap = table.loc[("ours", "Y-GAN", "", "balanced")], table.loc[("ours - paper", "Y-GAN", "", "balanced")]
    assert row["n"] == 2 and row["cells"] == "4 7" and row["mean"] == pytest.approx(0.85)
    assert pd.isna(gap["mean"]) and gap["4"] == pytest.approx(0.9 - 0.984) and pd.isna(gap["0"])
    shown = tables.readable(table).loc[("ours", "Y-GAN", "balanced")]
    assert shown["0"] == "–" and shown["4"] == "0.900"
    assert tables.readable(table).loc[("ours - paper", "Y-GAN", "balanced"), "4"] == "-0.084"


def test_seeds_are_averaged_first_and_their_spread_stands_apart():
    runs = [made_up(value, held_out=4, seed=seed) for seed, value in enumerate((0.8, 0.9, 1.0))]
    row = tables.benchmark(1, runs).loc[("ours", "Y-GAN", "", "balanced")]
    assert row["4"] == pytest.approx(0.9) and row["n"] == 1
    assert row["std over seeds"] == pytest.approx(np.std([0.8, 0.9, 1.0])) and pd.isna(row["std"])


def test_the_best_of_each_block_is_bold():
    table = tables.benchmark(1, [made_up(0.9, held_out=4), made_up(0.95, held_out=4, method="classifier")])
    shown = tables.readable(table, "<b>{}</b>")["4"]
    assert shown[("paper", "Y-GAN", "")] == "<b>0.984</b>" and shown[("ours", "Classifier", "balanced")] == "<b>0.950</b>"
    assert shown[("ours", "Y-GAN", "balanced")] == "0.900"
    assert not shown["ours - paper"].str.contains("<b>").any()
    assert "\\textbf{0.950}" in tables.latex(table) and "**0.950**" in tables.markdown(table)


def test_wilcoxon_is_corrected_by_holm_and_needs_all_ten():
    random = np.random.RandomState(0)
    base = random.uniform(0.8, 0.9, 10)
    cells = {("Y-GAN", "balanced"): base, ("a", ""): base - 0.05, ("b", ""): base + random.normal(0, 0.05, 10)}
    cells["c", ""] = base + random.normal(0, 0.01, 10)
    found = tables.holm(cells)
    raw = sorted((wilcoxon(cells[key], base).pvalue, key) for key in cells if key[0] != "Y-GAN")
    expected, running = {}, 0
    for place, (p, key) in enumerate(raw):
        running = max(running, min(1, p * (3 - place)))
        expected[key] = running
    assert found == pytest.approx(expected)
    few = [made_up(0.9, held_out=i) for i in range(9)] + [made_up(0.8, held_out=i, method="classifier") for i in range(10)]
    assert "p" not in tables.benchmark(1, few)
    whole = few + [made_up(0.9, held_out=9)]
    assert tables.benchmark(1, whole).loc[("ours", "Classifier", "", "balanced"), "p"] == pytest.approx(2 / 2**10)


def test_table_4_by_species_and_threshold():
    metrics = {"tpr": 0.4, "tnr": 0.9, "tpr_eer": 0.7, "tnr_eer": 0.7, "tpr:Apple": 0.5, "tnr:Apple": 0.8, "auc:Apple": 0.75}
    table = tables.table4([made_up(0.8, "plantvillage", **metrics)])
    assert table.loc[("ours", "Y-GAN", "TNR", "balanced"), "Apple"] == 0.8
    assert table.loc[("ours", "Y-GAN", "TPR at EER", "balanced"), "all"] == 0.7
    gap = table.loc[("ours - paper", "Y-GAN", "TPR", "balanced")]
    assert gap["Apple"] == pytest.approx(0.5 - 0.802) and gap["auc"] == pytest.approx(0.8 - 0.962) and pd.isna(gap["Corn"])
    fewer = tables.table4([made_up(0.8, "plantvillage", species=11, **metrics)])
    gap = fewer.loc[("ours - paper", "Y-GAN", "TPR", "balanced")]
    assert gap["Apple"] == pytest.approx(0.5 - 0.802) and pd.isna(gap["auc"])


def test_table_5_compares_variants_in_the_same_cells():
    runs = [made_up(0.95, held_out=4), made_up(0.90, held_out=4, change="A1")]
    runs += [made_up(0.8, "plantvillage"), made_up(0.7, "plantvillage", change="A1")]
    table = tables.table5(runs)
    a1 = table.loc[("ours", "A1", "without L_con", "balanced")]
    assert a1["MNIST"] == 0.9 and a1["n MNIST"] == 1 and pd.isna(a1["CIFAR10"]) and a1["n CIFAR10"] == 0
    gap = table.loc[("ours - paper", "A1", "without L_con", "balanced")]
    assert pd.isna(gap["MNIST"]) and gap["PlantVillage"] == pytest.approx(0.7 - 0.918)  # one cell is all that it has
    said = report.table5(runs)
    assert (
        "MNIST, A1 (without L_con): costs +0.050 here over 1 cell, +0.000 in the paper. **too few classes for a verdict**"
        in said
    )
    assert (
        "PlantVillage, A1 (without L_con): costs +0.100 here over 1 cell, +0.044 in the paper. **agrees in direction**" in said
    )


def test_the_papers_own_percentages():
    table = tables.claims([])
    assert table.loc["MNIST: mean AUC above OCGAN's by 9 %", "from its tables"] == "9.1%"
    assert table.loc["PlantVillage: with weak labels still above GANomaly by 7.7 %", "from its tables"] == "8.3%"  # not 7.7
    assert table["ours"].isna().all()
    ours = [made_up(0.9, held_out=i) for i in range(10)] + [made_up(0.75, held_out=i, method="ocgan") for i in range(10)]
    assert tables.claims(ours).loc["MNIST: mean AUC above OCGAN's by 9 %", "ours"] == "20.0%"


def test_a_verdict_follows_its_numbers():
    near = [made_up(0.98, held_out=i) for i in range(10)] + [made_up(0.9, held_out=i, method="classifier") for i in range(5)]
    said = report.benchmark(1, near)
    assert (
        "Y-GAN 0.980 ± 0.000. **agrees** (-0.007)" in said
        and "Classifier in the same 5 cells: 0.900; Y-GAN +0.080, ahead in 5" in said
    )
    assert "**does not agree** (-0.087)" in report.benchmark(1, [made_up(0.9, held_out=i) for i in range(10)])
    assert "too few classes for a verdict" in report.benchmark(1, near[:3])


def test_every_figure_and_table_has_its_place_on_the_page():
    placed = [name for names in SECTIONS.values() for name in names]
    assert sorted(placed) == sorted({**FIGURES, **tables.TABLES})
    assert set(report.VERDICTS) <= set(placed)


def test_draw_makes_what_it_can_and_trains_nothing(smoke, results, monkeypatch, capsys):
    study, _ = smoke
    monkeypatch.setattr(type(study), "_train", lambda *_: pytest.fail("trained"))
    line = ["draw", "--profile", "smoke", "--results", str(results), "fig1", "color_mnist_probes", "table3"]
    states = [study.state(job) for job in study.select(dataset="cifar10")]
    assert main(line) == 0
    out = capsys.readouterr().out
    assert "fig1: made of 1 of 1 trainings" in out and "color_mnist_probes: made of 2 of 2 trainings" in out
    assert ("table3: not drawn" in out) == (not any(state == "done" for state in states))
    for ending in ("csv", "md", "tex", "json"):
        assert (study.folder / f"tables/color_mnist_probes.{ending}").stat().st_size > 0
    assert main(["draw", "--profile", "smoke", "--results", str(results), "fig99"]) == 2


def test_the_page_needs_nothing_beside_it(smoke):
    study, runs = smoke
    text = write_page(study).read_text(encoding="utf-8")
    assert 'id="color_mnist_probes"' in text and "--only color_mnist_probes --force" in text
    assert not re.search(r'(src|href)="(?!data:|#)', text) and "<link" not in text and "@import" not in text
    assert f"{runs['balanced'].metrics['auc']:.3f}" in text and "profile <b>smoke</b>" in text.lower()


def test_formulas_on_the_page():
    assert markdown("both $z_s$ and $\\hat z_{zs}$") == "<p>both <i>z<sub>s</sub></i> and <i> z<sub>zs</sub></i></p>\n"
