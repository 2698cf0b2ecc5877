"""Tables from made-up rows of runs.csv, recomputed by hand, and from the smoke profile's trainings."""

import json
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from ygan_core import config
from ygan_core.data.datasets import REPOSITORY
from ygan_study.methods import BASELINES
from ygan_study.report import printed, render, tables
from ygan_study.report.rows import rows_of, trainings_of
from ygan_study.report.tables import blocks, schedules
from ygan_study.report.tables.ablations import table5, table6
from ygan_study.report.tables.benchmarks import benchmark, table4
from ygan_study.report.tables.color_mnist import color_mnist_probes
from ygan_study.report.tables.scores import scores
from ygan_study.run.tidy import RUNS_COLUMNS
from ygan_study.run.store import Study

YGAN, CONTROL = ("ours", "Y-GAN", "", "balanced"), ("ours", "Classifier", "", "control")
GAP = ("ours - paper", "Y-GAN", "", "balanced")


def training(auc, other=0.5, dataset="mnist", held_out=4, method="ygan", **settings) -> list[dict]:
    """The rows of runs.csv that one training gives. auc: of the headline's weights; other: of the others; settings: columns
    of runs.csv, and metrics."""
    own = {"ygan": "balanced", "classifier": "control"}.get(method, "")
    shown = {
        **dict(
            dataset=dataset,
            held_out=held_out,
            stand_in=-1,
            method=method,
            variant="full",
            deviation="none",
        ),
        **dict(
            labels="true",
            pixels="all",
            width=16,
            epochs=7,
            batch_size=64,
            image_size=32,
            seed=0,
            split_seed=0,
        ),
        **{"class": str(held_out), "configuration": own, "precision": "float32"},
    }
    shown |= {name: settings.pop(name) for name in list(settings) if name in shown}
    headline = (
        config.HEADLINE[shown["configuration"].split(",")[0]] if shown["configuration"] else "last"
    )
    shown["job"] = "-".join(map(str, shown.values()))
    metrics = {
        "training_seconds": 60.0,
        "inference_us": 50.0,
        "training_images": 9044.0,
        "training_operations": 2e14,
        **settings,
    }
    rows = []
    for weights in ("last", "averaged") if method not in BASELINES else ("last",):
        found = {"auc": auc if weights == headline else other, **metrics}
        about = {
            **shown,
            "weights": weights,
            "headline": weights == headline,
            "epoch_rule": "last",
            "epoch": shown["epochs"],
        }
        rows += [{**about, "metric": metric, "value": value} for metric, value in found.items()]
    return rows


def tidy(*trainings) -> pd.DataFrame:
    return pd.DataFrame([row for rows in trainings for row in rows], columns=RUNS_COLUMNS)


def test_the_papers_rows_are_as_printed():
    table = benchmark(1, tidy(training(0.9)))
    as_printed = pd.read_csv(REPOSITORY / "data/paper_tables/table1_mnist.csv").set_index("model")
    own = table.loc["paper"].droplevel(["row", "configuration"])
    assert list(own.index) == list(as_printed.index) and len(own) == 9
    pd.testing.assert_frame_equal(
        own[[*"0123456789", "mean"]], as_printed[[*"0123456789", "mean"]], check_names=False
    )
    assert own.loc["Y-GAN", "std over classes"] == as_printed.loc["Y-GAN", "std"] == 0.004
    assert printed.paper_auc("mnist", range(10)) == pytest.approx(
        0.987, abs=5e-4
    )  # the mean that the row itself prints
    assert printed.paper_auc("cifar10", [4, 1, 4]) == pytest.approx((0.767 + 0.759) / 2)
    assert printed.paper_auc("cifar10", [1, 4], np.std) == pytest.approx((0.767 - 0.759) / 2)


def test_a_whole_row_has_mean_deviation_and_difference():
    auc = np.linspace(0.90, 0.99, 10)
    table = benchmark(1, tidy(*(training(value, held_out=i) for i, value in enumerate(auc))))
    row, gap = table.loc[YGAN], table.loc[GAP]
    assert row["mean"] == pytest.approx(0.945) and row["n"] == 10
    assert row["std over classes"] == pytest.approx(
        (sum((value - 0.945) ** 2 for value in auc) / 10) ** 0.5
    )
    assert gap["mean"] == pytest.approx(0.945 - 0.987) and gap["0"] == pytest.approx(0.90 - 0.993)
    assert "cells" not in table and "std over seeds" not in table  # they would say nothing


def test_a_mean_over_fewer_classes_names_them_and_has_no_difference():
    table = benchmark(1, tidy(training(0.9, held_out=4), training(0.8, held_out=7)))
    row, gap = table.loc[YGAN], table.loc[GAP]
    assert row["n"] == 2 and row["cells"] == "4 7" and row["mean"] == pytest.approx(0.85)
    assert pd.isna(gap["mean"]) and gap["4"] == pytest.approx(0.9 - 0.984) and pd.isna(gap["0"])
    shown = render.readable(table)
    assert shown.loc[("ours", "Y-GAN", "balanced"), ["0", "4", "n"]].tolist() == ["–", "0.900", "2"]
    assert shown.loc[("ours - paper", "Y-GAN", "balanced"), "4"] == "-0.084"


def test_seeds_are_averaged_first_and_their_spread_stands_apart():
    three = [
        training(auc, seed=seed, split_seed=seed == 2) for seed, auc in enumerate((0.8, 0.9, 1.0))
    ]
    two = [training(auc, seed=seed, held_out=7) for seed, auc in enumerate((0.5, 0.7))]
    row = benchmark(1, tidy(*three)).loc[YGAN]
    assert (
        row["4"] == pytest.approx(0.9)
        and row["n"] == 1
        and row["seeds"] == "3"
        and pd.isna(row["std over classes"])
    )
    assert row["std over seeds"] == pytest.approx(0.1)  # the sample std
    row = benchmark(1, tidy(*three, *two)).loc[YGAN]
    assert row["mean"] == pytest.approx((0.9 + 0.6) / 2) and row[
        "std over classes"
    ] == pytest.approx(0.15)
    assert row["seeds"] == "2 to 3" and row["std over seeds"] == pytest.approx(
        ((2 * 0.01 + 1 * 0.02) / 3) ** 0.5
    )


def test_every_row_names_its_weights_with_the_other_ones_beside():
    rows = tidy(
        *(training(0.9, other, seed=seed) for seed, other in enumerate((0.4, 0.6))),
        training(0.8, 0.7, configuration="paper"),
        training(0.85, 0.75, method="classifier"),
        training(0.6, method="ganomaly"),
    )
    table = benchmark(1, rows).loc["ours"].droplevel("row")
    assert table["weights"].to_dict() == {
        ("Y-GAN", "balanced"): "averaged",
        ("Y-GAN", "paper"): "last",
        ("Classifier", "control"): "averaged",
        ("GANomaly", ""): "last",
    }
    assert table.loc[("Y-GAN", "balanced"), "mean, last weights"] == pytest.approx(0.5)
    assert table.loc[("Y-GAN", "paper"), "mean, averaged weights"] == 0.7
    assert table.loc[("Classifier", "control"), "mean, last weights"] == 0.75
    assert pd.isna(
        table.loc[("Y-GAN", "balanced"), "mean, averaged weights"]
    )  # that is the mean itself
    assert (
        table.loc[("GANomaly", ""), ["mean, last weights", "mean, averaged weights"]].isna().all()
    )


def test_a_baseline_that_was_trained_too_short_says_so_and_has_no_difference():
    long = {
        "ganomaly": 15,
        "skip_ganomaly": 15,
        "ocgan": 201,
        "f_anogan": 1064,
        "p_net": 800,
        "arnet": 9999,
        "patch_svdd": 300,
    }
    assert (
        long.keys()
        == schedules.AUTHORS.keys()
        == {name for name, kind in BASELINES.items() if kind.trains}
    )
    short = tidy(
        *(training(0.6, method=method, epochs=epochs - 1) for method, epochs in long.items())
    )
    table = benchmark(1, short)
    assert set(table.index.get_level_values("source")) == {"paper", "ours"}
    told = table.loc["ours"].droplevel(["row", "configuration"])["trained, of authors' schedule"]
    assert told["GANomaly"] == "14 of 15 epochs" and told["ARNet"] == "9,998 epochs, theirs unknown"
    # 9,044 images are 141 batches of 64; a third of the 1,063 * 141 steps is of the encoder
    assert told["f-AnoGAN"] == "49,961 of 50,000 encoder steps"
    table = benchmark(
        1, tidy(*(training(0.6, method=method, epochs=epochs) for method, epochs in long.items()))
    )
    gaps = table.loc["ours - paper"].index.get_level_values("method")
    assert sorted(gaps) == [
        "GANomaly",
        "OCGAN",
        "P-Net",
        "Patch SVDD",
        "Skip-GANomaly",
        "f-AnoGAN",
    ]  # ARNet's: nobody knows
    assert table.loc[("ours - paper", "OCGAN", "", ""), "4"] == pytest.approx(0.6 - 0.929)


def test_what_trains_nothing_has_no_width_no_epochs_and_no_weights():
    rows = tidy(
        *(
            training(0.6, method=name)
            for name in ("padim", "knn_pixels", "knn_features", "ganomaly")
        ),
        training(0.9),
    )
    table = benchmark(1, rows).loc["ours"].droplevel(["row", "configuration"])
    for name in ("PaDiM", "kNN on pixels", "kNN on ImageNet features"):
        assert (
            table.loc[name, ["width", "epochs", "weights", "trained, of authors' schedule"]]
            .isna()
            .all()
        )
    assert table.loc["GANomaly", ["width", "epochs"]].tolist() == ["16", "7"]
    assert table["knows"].to_dict() == {
        "Y-GAN": "class labels",
        "PaDiM": "ImageNet weights",
        "kNN on ImageNet features": "ImageNet weights",
        "kNN on pixels": "nothing else",
        "GANomaly": "nothing else",
    }


def test_another_image_size_than_the_papers_has_no_difference():
    table = benchmark(1, tidy(training(0.9, image_size=64)))
    assert (
        "ours - paper" not in table.index.get_level_values("source")
        and table.loc[YGAN, "image size"] == "64 px"
    )


RATES = {
    "tpr": 0.4,
    "tnr": 0.9,
    "tpr_eer": 0.7,
    "tnr_eer": 0.72,
    "tpr:Apple": 0.5,
    "tnr:Apple": 0.8,
    "calibration": 41.0,
}
RATES |= {
    "auc:Apple": 0.75,
    "auc:Corn": 0.85,
    "tpr_eer:Apple": 0.6,
    "tnr_eer:Apple": 0.65,
    "normal_accuracy": 0.9,
}
SPECIES = {f"tnr:{name}": 0.9 for name in printed.class_names(4)}


def leaves(auc=0.8, size=256, **metrics):
    return training(auc, 0.7, "plantvillage", -1, image_size=size, **{**RATES, **metrics})


def test_table_4_subtracts_rates_at_the_eer_and_at_256_pixels_only():
    table = table4(tidy(leaves(**SPECIES)))
    rows = table.loc["ours"].droplevel("configuration").xs("Y-GAN")
    assert rows["Apple"].to_dict() == {
        "TNR at EER": 0.65,
        "TPR at EER": 0.6,
        "TNR at threshold": SPECIES["tnr:Apple"],
        "TPR at threshold": 0.5,
    }
    assert rows["all species"].tolist() == [0.72, 0.7, 0.9, 0.4]
    gap = table.loc["ours - paper"].droplevel(["method", "configuration"])
    assert list(gap.index) == ["TNR at EER", "TPR at EER"]
    assert gap.loc["TPR at EER", "Apple"] == pytest.approx(0.6 - 0.802)
    assert gap.loc["TNR at EER", "auc"] == pytest.approx(0.8 - 0.962)
    assert pd.isna(gap.loc["TPR at EER", "Corn"])  # not measured here
    own = rows.loc["TPR at threshold"]
    assert (
        own["calibration images"] == "41"
        and own["auc, last weights"] == 0.7
        and own["image size"] == "256 px"
    )
    assert own["mean over species"] == pytest.approx(0.8) and own[
        "std over species"
    ] == pytest.approx(0.05)
    fewer = table4(tidy(leaves()))
    gap = fewer.loc["ours - paper"].droplevel(["method", "configuration"])
    assert gap.loc["TPR at EER", "Apple"] == pytest.approx(0.6 - 0.802) and pd.isna(
        gap.loc["TPR at EER", "auc"]
    )
    small = table4(tidy(leaves(size=64, **SPECIES)))
    assert "ours - paper" not in small.index.get_level_values("source")
    assert set(small.loc["paper"]["image size"]) == {"256 px"} and set(
        small.loc["ours"]["image size"]
    ) == {"64 px"}


def test_table_4_has_the_background_beside_and_a_best_for_each_rate():
    rows = tidy(
        leaves(0.8),
        leaves(
            0.6, method="classifier", variant="background_only", pixels="background", **{"tpr": 0.5}
        ),
    )
    table = table4(rows)
    assert set(table.loc["ours"].index.get_level_values("method")) == {
        "Y-GAN",
        "Classifier, background only",
    }
    bold = (
        pd.DataFrame(render.best(table), table.index, table.columns)
        .loc["ours"]
        .droplevel("configuration")
    )
    assert (
        bold.loc[("Y-GAN", "TPR at EER"), "auc"]
        and not bold.loc[("Classifier, background only", "TPR at EER"), "auc"]
    )
    assert bold.loc[("Classifier, background only", "TPR at EER"), "Apple"]  # as high as Y-GAN's


def test_table_5_compares_variants_in_the_same_cells():
    rows = tidy(
        *(training(auc, variant=name, seed=seed) for name, both in (("full", (0.94, 0.96)), ("A1", (0.88, 0.92)))
          for seed, auc in enumerate(both)),
        leaves(0.8, **SPECIES),
        leaves(0.7, variant="A1", **SPECIES),
    )  # fmt: skip
    table = table5(rows)
    a1 = table.loc[("ours", "A1", "without L_con", "balanced")]
    assert (
        a1["MNIST"] == pytest.approx(0.9) and pd.isna(a1["CIFAR10"]) and a1["weights"] == "averaged"
    )
    assert (
        a1["n, MNIST"] == 1
        and a1["seeds, MNIST"] == "2"
        and a1["std over seeds, MNIST"] == pytest.approx(0.0008**0.5)
    )
    assert a1["mean, last weights, MNIST"] == 0.5 and "n, CIFAR10" not in table
    gap = table.loc[("ours - paper", "A1", "without L_con", "balanced")]
    assert pd.isna(gap["MNIST"]) and gap["PlantVillage"] == pytest.approx(
        0.7 - 0.918
    )  # one cell is all that it has
    small = table5(tidy(leaves(0.8, 64, **SPECIES), leaves(0.7, 64, variant="A1", **SPECIES)))
    assert "ours - paper" not in small.index.get_level_values("source")
    backwards = table5(rows.iloc[::-1])
    assert list(backwards.loc["ours"].index.get_level_values("method")) == [
        "full",
        "A1",
    ]  # the paper's order


def test_table_6_holds_weak_labels_against_true_ones():
    ten = [training(0.95, held_out=i) for i in range(10)] + [
        training(0.9, held_out=i, labels="weak") for i in range(10)
    ]
    table = table6(tidy(*ten))
    assert table.loc[
        ("ours", "Y-GAN*", "weak (k-means clusters)", "balanced"), "MNIST"
    ] == pytest.approx(0.9)
    gap = table.loc["ours - paper"].droplevel(["row", "configuration"])["MNIST"]
    assert gap.to_dict() == pytest.approx({"Y-GAN": 0.95 - 0.987, "Y-GAN*": 0.9 - 0.964})


def test_cells_that_a_configuration_was_picked_on_are_marked(monkeypatch):
    monkeypatch.setattr(config, "CHOSEN_ON", {"balanced": (("mnist", 9), ("color_mnist", 0))})
    rows = tidy(
        training(0.9, held_out=4),
        training(0.8, held_out=9, configuration="balanced, lambda_5=0.0"),
        training(0.7, held_out=9, configuration="paper"),
        training(0.6, held_out=9, method="classifier"),
    )
    table = benchmark(1, rows)
    changed = ("ours", "Y-GAN", "", "balanced, lambda_5=0.0")
    assert set(table.attrs["marks"]) == {(changed, "9"), (changed, "mean")}
    text = render.markdown(table)
    assert (
        text.count("0.800†") == 2
        and text.endswith(f"\n† {blocks.CHOSEN}")
        and "0.700†" not in text
        and "0.900†" not in text
    )
    assert "†" not in table.to_csv() and "† Not blind" in render.latex(table)
    marks = color_mnist_probes(
        tidy(training(0.9, dataset="color_mnist", held_out=0, swap_digit=0.9))
    ).attrs["marks"]
    assert {column for _, column in marks} == {
        "AUC (Eq. 12)",
        "AUC (Eq. 12), last weights",
        "swap keeps digit",
    }
    ablation = table5(
        tidy(
            training(0.9, held_out=9),
            training(0.8, held_out=9, variant="A1"),
            training(0.8, held_out=4, variant="A2"),
        )
    )
    assert {(row[1], column) for row, column in ablation.attrs["marks"]} == {
        ("full", "MNIST"),
        ("A1", "MNIST"),
    }
    marks = scores(tidy(training(0.9, held_out=9, auc_s=0.9, auc_s_x=0.8))).attrs["marks"]
    assert set(marks) == {
        (("MNIST", "Y-GAN", "balanced"), "s"),
        (("MNIST", "Y-GAN", "balanced"), "s_x"),
    }


def test_probes_stand_in_both_forms_side_by_side():
    probes = {
        "probe_digit_z_s": 0.95,
        "unit_digit_z_s": 0.9,
        "probe_colour_z_s": 0.69,
        "unit_colour_z_s": 0.21,
    }
    table = color_mnist_probes(tidy(training(0.9, 0.8, "color_mnist", 0, **probes)))
    row, columns = table.loc["balanced"], list(table)
    assert row["colour from z_s"] == 0.69 and row["colour from z_s, unit length"] == 0.21
    assert columns.index("colour from z_s, unit length") == columns.index("colour from z_s") + 1
    assert table.loc["chance", ["digit from z_s", "colour from z_s, unit length"]].tolist() == [
        1 / 9,
        0.1,
    ]
    assert (
        row["AUC (Eq. 12)"] == 0.9
        and row["AUC (Eq. 12), last weights"] == 0.8
        and pd.isna(row["swap keeps digit"])
    )


def test_scores_are_means_over_classes_of_means_over_draws():
    draws = ((4, 0, 0.9, 0.5), (4, 1, 0.7, 0.7), (7, 0, 0.6, 0.9))
    table = scores(
        tidy(
            *(training(s, held_out=i, seed=seed, auc_s=s, auc_ViM=vim) for i, seed, s, vim in draws)
        )
    )
    row = table.loc[("MNIST", "Y-GAN", "balanced")]
    assert row["s"] == pytest.approx((0.8 + 0.6) / 2) and row["ViM"] == pytest.approx(
        (0.6 + 0.9) / 2
    )
    assert (row["n"], row["draws"], row["weights"]) == (2, 3, "averaged") and pd.isna(row["s_x"])
    assert list(table.columns[render.best(table)[0]]) == ["ViM"]


def test_the_best_of_each_block_is_bold():
    table = benchmark(
        1, tidy(training(0.9), training(0.95, method="classifier"), training(0.5, held_out=7))
    )
    bold = pd.DataFrame(render.best(table), table.index, table.columns)
    assert (
        bold.loc[("paper", "Y-GAN", "", ""), "4"]
        and bold.loc[CONTROL, "4"]
        and not bold.loc[YGAN, "4"]
    )
    assert not bold.loc[YGAN, "7"]  # alone
    assert not bold.loc["ours - paper"].any(axis=None)
    assert "\\textbf{0.950}" in render.latex(table) and "**0.950**" in render.markdown(table)
    assert not bold.loc[[CONTROL, YGAN], "mean"].any()  # of one class, of two: not alike
    assert "**0.500**" not in render.markdown(table)


def test_text_in_a_table_is_text():
    table = pd.DataFrame(
        {"a_1": ["<script>alert(1)</script>", "50 % | a & b"], "<i>": [np.nan, 0.25]},
        index=pd.Index(["<script>", "x|y"], name="species"),
    )
    table.attrs["signed"] = ["<i>"]
    lines = render.markdown(table).splitlines()
    assert lines[0] == "| species | a_1 | &lt;i&gt; |" and "<script" not in lines[2]
    assert lines[3] == "| x\\|y | 50 % \\| a &amp; b | +0.250 |"
    assert "a\\_1" in render.latex(table) and "50 \\% | a \\& b" in render.latex(table)


def test_a_folder_of_plantvillage_named_like_a_script_is_harmless():
    rows = tidy(
        training(
            0.9,
            dataset="plantvillage",
            held_out=-1,
            image_size=64,
            **RATES,
            **{"tnr:<script>": 0.5},
        )
    )
    assert "<script" not in render.markdown(table4(rows))
    evil = tidy(training(0.9, configuration="balanced, name=<script>"))
    assert "<script" not in render.markdown(benchmark(1, evil))


@pytest.fixture(scope="module")
def leaf_runs(results):
    """The smoke profile's trainings on PlantVillage."""
    study = Study("smoke", results)
    from ygan_study.run.training import run_all

    return study, run_all(study, study.select(dataset="plantvillage"))


def test_tables_are_functions_of_runs_csv(leaf_runs, smoke):
    study, runs = leaf_runs
    study.write_runs()
    written = pd.read_csv(study.root / "runs.csv")
    for name, own in (("table4", runs), ("color_mnist_probes", list(smoke[1].values()))):
        jobs = [run.job.id for run in own]
        rows = written[written["job"].isin(jobs)]
        rows = rows.sort_values(
            "job", key=lambda column, jobs=jobs: column.map(jobs.index), kind="stable"
        )
        pd.testing.assert_frame_equal(
            tables.TABLES[name].make(rows), tables.make(name, own), check_dtype=False
        )


def test_table_4_of_what_was_trained(leaf_runs):
    study, runs = leaf_runs
    table = tables.make(
        "table4", [run for run in runs if run.job in tables.TABLES["table4"].jobs(study)]
    )
    by_method = {run.config.method: run for run in runs if run.config.variant == "full"}
    row = table.loc[("ours", "Y-GAN", "TNR at EER", "balanced")]
    run = by_method["ygan"]
    normal = run.test["in_test"] & ~run.test["anomalous"]
    assert row["auc"] == pytest.approx(run.metrics["auc"]) and row["calibration images"] == str(
        len(run.test["calibration"])
    )
    threshold = np.quantile(run.test["calibration"], 0.95)
    kept = np.mean(run.scores[normal] <= threshold)
    assert table.loc[
        ("ours", "Y-GAN", "TNR at threshold", "balanced"), "all species"
    ] == pytest.approx(kept, abs=0.02)
    assert row["auc, last weights"] == pytest.approx(run.at("last").metrics["auc"])


def test_a_table_is_saved_with_what_it_was_made_of(smoke, read_json):
    study, runs = smoke
    own = list(runs.values())
    table = tables.tabulate(study, "color_mnist_probes", own, "-test")
    saved = pd.read_csv(
        StringIO((study.folder / "tables/color_mnist_probes-test.csv").read_text()), index_col=0
    )
    assert saved.loc["balanced", "AUC (Eq. 12)"] == pytest.approx(
        table.loc["balanced", "AUC (Eq. 12)"], abs=1e-6
    )
    for ending, start in (("md", "Profile: smoke"), ("tex", "% profile: smoke")):
        assert (
            (study.folder / f"tables/color_mnist_probes-test.{ending}")
            .read_text()
            .startswith(start)
        )
    assert read_json(study.folder / "tables/color_mnist_probes-test.json")["jobs"] == [
        run.job.id for run in own
    ]
    with pytest.raises(ValueError, match="table5: none of its trainings is done"):
        tables.make("table5", [])


def test_tables_1_to_4_leave_the_ladder_out():
    study = Study("laptop")
    for name in ("table1", "table2", "table3", "table4"):
        jobs = tables.TABLES[name].jobs(study)
        assert {job.config.variant for job in jobs} <= {"full", "background_only"} and len(jobs)
        lengths = {}
        for job in jobs:
            c = job.config
            lengths.setdefault((c.method, c.name, c.dataset), set()).add(c.epochs)
        assert all(len(found) == 1 for found in lengths.values())
        assert {job.config.deviation for job in jobs} == {"none"} and {
            job.config.labels for job in jobs
        } == {"true"}


def test_tables_5_and_6_have_whole_y_gans_in_the_very_cells():
    study = Study("quick")
    for name, changed in (("table5", "variant"), ("table6", "labels")):
        jobs = tables.TABLES[name].jobs(study)
        cell = lambda c: (c.dataset, c.held_out, c.seed, c.split_seed, c.name)  # noqa: E731
        whole = {
            cell(job.config)
            for job in jobs
            if job.config.variant == "full" and job.config.labels == "true"
        }
        others = [
            job.config for job in jobs if getattr(job.config, changed) not in ("full", "true")
        ]
        assert others and whole == {cell(c) for c in others} and len(whole) == 3


def test_weak_labels_say_which_network_at_which_size(results):
    from ygan_study.run.training import run_all

    study = Study("smoke", results)
    runs = run_all(study, tables.TABLES["weak_labels"].jobs(study))
    table = tables.make("weak_labels", runs)
    about, row = (
        json.loads((runs[0].folder / "run.json").read_text())["weak_labels"],
        table.loc[("MNIST", "4", 0)],
    )
    assert (
        row["network"] == f"{about['network']}, {about['side']} px" and row["purity, paper"] == 0.95
    )
    assert row["k, cosine"] == runs[0].metrics["clusters"] and row["classes"] == 9


def test_cells_has_a_row_a_training():
    rows = tidy(training(0.9, 0.8), training(0.7, method="padim"))
    assert trainings_of(rows)["auc"].tolist() == [0.9, 0.7] and trainings_of(rows)[
        "title"
    ].tolist() == [
        "Y-GAN",
        "PaDiM",
    ]
    assert trainings_of(rows, "last")["auc"].tolist() == [0.8, 0.7] and trainings_of(
        rows, "averaged"
    )["auc"].tolist() == [0.9]


def test_a_baselines_empty_configuration_survives_the_file(tmp_path):
    rows = tidy(training(0.9, held_out=4), training(0.7, method="padim"))
    rows.to_csv(tmp_path / "runs.csv", index=False)
    pd.testing.assert_frame_equal(
        benchmark(1, pd.read_csv(tmp_path / "runs.csv")), benchmark(1, rows), check_dtype=False
    )


def test_rows_of_a_run_have_both_weights(smoke):
    rows = rows_of(smoke[1].values())
    assert set(rows["weights"]) == {"last", "averaged"} and list(rows) == RUNS_COLUMNS
