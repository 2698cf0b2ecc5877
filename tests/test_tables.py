"""Tables from made-up rows of runs.csv, recomputed by hand, and from the smoke profile's trainings."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest
from made_up import CLASSIFIER, PADIM, rows_of, ten, training

from ygan_core.data.datasets import REPOSITORY
from ygan_core.metrics import percentile_threshold
from ygan_study.methods import METHODS
from ygan_study.report import printed, render, tables, views
from ygan_study.report.rows import trainings_of
from ygan_study.report.tables import benchmarks, beyond, shared
from ygan_study.report.tables.benchmarks import benchmark, table4, table5, table6
from ygan_study.report.tables.networks import color_mnist_probes, scores
from ygan_study.report.view import NotTrained
from ygan_study.run.store import Study

YGAN, PLAIN = ("ours", "Y-GAN (balanced)"), ("ours", "Classifier")
GAP = ("ours - paper", "Y-GAN (balanced)")
CIFAR10 = dict(dataset="cifar10")


def test_the_papers_rows_are_as_printed():
    table = benchmark(1, rows_of(training()))
    as_printed = pd.read_csv(REPOSITORY / "data/paper_tables/table1_mnist.csv").set_index("model")
    own, columns = table.loc["paper"], [*"0123456789", "mean"]
    assert list(own.index) == list(as_printed.index) and len(own) == 9
    pd.testing.assert_frame_equal(own[columns], as_printed[columns], check_names=False)
    assert own.loc["Y-GAN", shared.MEAN] == "0.987 ± 0.004"
    assert printed.paper_auc("mnist", range(10)) == pytest.approx(0.987, abs=5e-4)
    assert printed.paper_auc("cifar10", [4, 1, 4]) == pytest.approx((0.767 + 0.759) / 2)
    assert printed.paper_auc("plantvillage", [-1]) == 0.962


def test_a_whole_row_has_a_mean_over_classes_and_a_difference():
    table = benchmark(1, rows_of(*ten(lambda held_out: 0.90 + held_out / 100)))
    row, gap = table.loc[YGAN], table.loc[GAP]
    assert row["mean"] == pytest.approx(0.945) and row[shared.MEAN] == "0.945 ± 0.029"
    assert row["std over classes"] == pytest.approx(np.std(np.arange(10) / 100))
    assert gap["mean"] == pytest.approx(0.945 - 0.987) and gap["0"] == pytest.approx(0.90 - 0.993)
    assert pd.isna(row["std over seeds"]) and row["seeds"] == "1"


def test_over_fewer_classes_the_reader_sees_their_names_and_no_mean():
    few = [training(held_out=4, auc=0.9), training(held_out=7, auc=0.8)]
    table = benchmark(1, rows_of(*few, *ten(0.5, **PADIM)[:5]))
    row, gap = table.loc[YGAN], table.loc[GAP]
    assert row["mean"] == pytest.approx(0.85) and (row["n"], row["held out"]) == (2, "4, 7")
    assert pd.isna(gap["mean"]) and gap["4"] == pytest.approx(0.9 - 0.984)
    shown = render.readable(table)[shared.MEAN]
    assert (shown[YGAN], shown["ours", "PaDiM"]) == ("only 4, 7", "only 5 classes")
    assert "0.850" not in render.markdown(table)


def test_seeds_are_averaged_first_and_their_spread_stands_apart():
    draws = [(4, 0, 0.8), (4, 1, 0.9), (4, 2, 1.0), (7, 0, 0.5), (7, 1, 0.7)]
    rows = rows_of(*(training(held_out=h, auc=a, seed=s) for h, s, a in draws))
    row = benchmark(1, rows).loc[YGAN]
    assert row["4"] == pytest.approx(0.9) and row["mean"] == pytest.approx((0.9 + 0.6) / 2)
    assert row["seeds"] == "2 to 3" and row["std over classes"] == pytest.approx(0.15)
    assert row["std over seeds"] == pytest.approx(((2 * 0.01 + 1 * 0.02) / 3) ** 0.5)


def test_a_reader_has_at_most_14_columns_with_the_mean_first(runs_csv):
    for name in ("table1", "table2", "table3", "table4", "scores", "strong", "best_epochs"):
        table = tables.TABLES[name].make(runs_csv(name))
        shown = render.readable(table)
        assert shown.shape[1] + shown.index.nlevels <= 14, name
    first = render.markdown(benchmark(1, runs_csv("table1"))).splitlines()[0]
    assert [cell.strip() for cell in first.split("|")[1:4]] == ["source", "method", "mean ± std"]


@pytest.fixture(scope="module")
def runs_csv():
    """The rows of results/laptop/runs.csv that a table is made of."""
    rows = pd.read_csv(REPOSITORY / "results" / "laptop" / "runs.csv")
    study = Study("laptop")
    return lambda name: rows[rows["job"].isin([job.id for job in tables.TABLES[name].jobs(study)])]


def test_the_other_weights_stand_in_the_csv():
    rows = rows_of(
        *(training(auc=0.9, averaged=other, seed=s) for s, other in enumerate((0.4, 0.6))),
        training(auc=0.6, method="ganomaly", configuration=""),
    )
    table = benchmark(1, rows).loc["ours"]
    assert table.loc["Y-GAN (balanced)", "mean, averaged weights"] == pytest.approx(0.5)
    assert table.loc["Y-GAN (balanced)", "weights"] == "last" and len(table) == 2
    assert pd.isna(table.loc["GANomaly", "mean, averaged weights"])


def test_a_baseline_counts_by_images_seen_against_its_authors_schedule(monkeypatch):
    seen = METHODS["ganomaly"].trainer.authors.images
    enough, short, unknown = (
        training(auc=0.6, method=name, configuration="", epochs=2, metrics={"training_images": n})
        for name, n in (("ganomaly", seen / 2), ("ocgan", 1000), ("arnet", 10**9))
    )
    table = benchmark(1, rows_of(enough, short, unknown))
    assert list(table.loc["ours - paper"].index) == ["GANomaly"]
    share = table.loc["ours", "share of schedule"]
    assert share["GANomaly"] == pytest.approx(1) and share["OCGAN"] < 0.01
    monkeypatch.setattr(METHODS["ganomaly"].trainer, "authors", None)  # a baseline without an entry
    assert "ours - paper" not in benchmark(1, rows_of(enough)).index.get_level_values("source")


def test_what_trains_nothing_has_no_width_no_epochs_and_no_weights():
    names = ("padim", "knn_pixels", "knn_features", "ganomaly")
    baselines = [training(auc=0.6, method=name, configuration="") for name in names]
    table = benchmark(1, rows_of(*baselines, training())).loc["ours"]
    untrained = ["PaDiM", "kNN on pixels", "kNN on ImageNet features"]
    assert table.loc[untrained, ["width", "epochs", "weights", "images seen"]].isna().all(axis=None)
    assert table.loc["GANomaly", ["width", "epochs"]].tolist() == ["16", "4"]
    knows = table["knows"].to_dict()
    assert (knows["PaDiM"], knows["GANomaly"]) == ("ImageNet weights", "nothing else")
    assert knows["Y-GAN (balanced)"] == "class labels"


RATES = {"tpr": 0.4, "tnr": 0.9, "tpr_eer": 0.7, "tnr_eer": 0.72, "calibration": 41.0}
RATES |= {"tpr:Apple": 0.5, "tnr:Apple": 0.8, "tpr_eer:Apple": 0.6, "tnr_eer:Apple": 0.65}
RATES |= {"auc:Apple": 0.75, "auc:Corn": 0.85, "normal_accuracy": 0.9}
SPECIES = {f"tnr:{name}": 0.9 for name in printed.class_names(4)}


def leaves(auc=0.8, size=256, rates=RATES, **settings):
    return training("plantvillage", -1, auc, 0.7, rates, image_size=size, **settings)


def test_table_4_has_rates_by_species_and_compares_at_256_pixels_only():
    table = table4(rows_of(leaves(rates=RATES | SPECIES)))
    row, gap = table.loc[YGAN], table.loc[GAP]
    assert row[["TNR at EER: Apple", "TPR at threshold: Apple"]].tolist() == [0.65, 0.5]
    rates = ["TNR at EER", "TPR at EER", "TNR at threshold", "TPR at threshold"]
    assert row[rates].tolist() == [0.72, 0.7, 0.9, 0.4] and row["calibration images"] == 41
    assert row["AUC, averaged weights"] == 0.7 and row["mean over species"] == pytest.approx(0.8)
    assert gap["AUC"] == pytest.approx(0.8 - 0.962) and pd.isna(gap["TPR at EER: Corn"])
    fewer = table4(rows_of(leaves())).loc[GAP]
    assert pd.isna(fewer["AUC"]) and fewer["TPR at EER: Apple"] == pytest.approx(0.6 - 0.802)
    small = table4(rows_of(leaves(size=64, rates=RATES | SPECIES)))
    assert "ours - paper" not in small.index.get_level_values("source")
    by_species = benchmarks.table4_species(rows_of(leaves()))
    assert by_species.loc["Apple"].tolist() == [0.833, 0.802, 0.65, 0.6] and len(by_species) == 14
    background = leaves(variant="background_only", pixels="background", **CLASSIFIER)
    both = table4(rows_of(leaves(), background)).loc["ours"]
    assert set(both.index) == {"Y-GAN (balanced)", "Classifier, background only"}


def test_table_5_has_each_variant_of_the_registry_and_what_it_costs():
    cut = [training(auc=auc, variant="A1", seed=s) for s, auc in enumerate((0.88, 0.92))]
    whole = [training(auc=auc, seed=s) for s, auc in enumerate((0.94, 0.96))]
    table = table5(rows_of(*cut, *whole, training(auc=0.5, variant="A9")))
    row = table.loc["ours", "A1 (balanced)", "MNIST"]
    assert (row["AUC"], row["cost, mean"]) == pytest.approx((0.9, 0.05))
    assert row["cost, low"] < 0.05 < row["cost, high"] and row["seeds"] == "2"
    assert list(table.loc["ours"].index.unique("method")) == [
        *("full (balanced)", "A1 (balanced)", "A9 (balanced)")
    ]  # the paper's order, then what it does not have
    shown = render.readable(table)
    assert shown.loc[("ours", "A1 (balanced)"), ["MNIST", "FMNIST"]].tolist() == ["0.900 (4)", "–"]
    assert shown.loc[("ours", "A9 (balanced)"), "description"] == "not in the paper"
    assert shown.loc[("paper", "A1"), "PlantVillage"] == "0.918"


def test_table_6_holds_weak_labels_against_true_ones():
    table = table6(rows_of(*ten(lambda _: 0.95), *ten(lambda _: 0.9, labels="weak")))
    weak = table.loc["ours", "Y-GAN* (balanced)", "MNIST"]
    assert weak["AUC"] == pytest.approx(0.9) and weak["shown"] == "0.900"
    gaps = table.loc["ours - paper"]["AUC"].droplevel("dataset")
    assert gaps.tolist() == pytest.approx([0.95 - 0.987, 0.9 - 0.964])


def test_what_a_choice_was_made_on_has_a_dagger():
    changed = training(auc=0.8, held_out=9, configuration="balanced, lambda_5=0.0")
    usual, paper = training(), training(auc=0.7, held_out=9, configuration="paper")
    table = benchmark(1, rows_of(changed, usual, paper))
    text = render.markdown(table)
    assert text.count("0.800†") == 1 and "only 9†" in text and text.rstrip().endswith(render.NOTE)
    assert "0.700†" not in text and "0.900†" not in text and "†" not in table.to_csv()
    assert "†" not in render.latex(benchmark(1, rows_of(usual)))
    color = rows_of(training("color_mnist", 0, metrics={"swap_digit": 0.9}))
    shown = render.readable(color_mnist_probes(color)).loc["balanced"]
    marked = [name for name in shown.index if shown[name].endswith("†")]
    assert marked == ["swap keeps digit", "swap takes colour", "AUC (Eq. 12)"]
    cut = table5(rows_of(training(held_out=9), training(held_out=9, variant="A1")))
    assert render.readable(cut).loc[("ours", "A1 (balanced)"), "MNIST"] == "0.900 (9)†"
    table = scores(rows_of(training(held_out=9, metrics={"auc_s": 0.9, "auc_s_x": 0.8})))
    assert render.readable(table).iloc[0][["s", "s_x"]].tolist() == ["0.900†", "0.800"]


def test_probes_stand_beside_chance():
    probes = {"probe_colour_z_s": 0.69, "unit_colour_z_s": 0.21, "probe_digit_z_s": 0.95}
    table = color_mnist_probes(rows_of(training("color_mnist", 0, 0.9, 0.8, probes)))
    row, chance = table.loc["balanced"], table.loc["chance"]
    assert row["colour from z_s"] == 0.69 and row["colour from z_s, unit length"] == 0.21
    assert (chance["digit from z_s"], chance["colour from z_r"]) == (1 / 9, 0.1)
    assert row["AUC (Eq. 12), averaged weights"] == 0.8 and pd.isna(row["swap keeps digit"])


def test_scores_are_means_over_classes_of_means_over_seeds():
    draws = ((4, 0, 0.9, 0.5), (4, 1, 0.7, 0.7), (7, 0, 0.6, 0.9))
    rows = [
        training(held_out=h, seed=s, metrics={"auc_s": a, "auc_ViM": v}) for h, s, a, v in draws
    ]
    plain = training(metrics={"auc_s": 0.75, "auc_s_zp": 0.9}, **CLASSIFIER)
    table = scores(rows_of(*rows, plain))
    row = table.loc["MNIST", "Y-GAN (balanced)"]
    assert row[["s", "ViM", "n", "trainings"]].tolist() == pytest.approx([0.7, 0.75, 2, 3])
    assert list(np.array(render.readable(table).columns)[render.best(table)[0]]) == ["ViM"]
    assert pd.isna(table.loc["MNIST", "Classifier"]["s_x"])


def test_the_best_of_each_block_is_bold():
    rows = rows_of(training(), training(auc=0.95, **CLASSIFIER), training(auc=0.5, held_out=7))
    text = render.markdown(benchmark(1, rows))
    assert "**0.950**" in text and "**0.900**" not in text and "**0.500**" not in text  # alone
    assert "**0.984**" in text and "\\bfseries 0.950" in render.latex(benchmark(1, rows))


def test_text_in_a_table_is_text():
    table = pd.DataFrame(
        {"a_1": ["<script>", "50 % | a & b"], "gap": [np.nan, 0.25], "n": [1, 2000]},
        index=pd.Index(["<script>", "x|y"], name="species"),
    )
    table.attrs["signed"] = ["gap"]
    lines = render.markdown(table).splitlines()
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    assert "<script" not in "".join(lines) and cells[2][2:] == ["–", "1 |"]
    assert lines[3].startswith("| x\\|y") and "50 % \\| a &amp; b" in lines[3]
    assert cells[3][-2:] == ["+0.250", "2,000 |"] and lines[1].count("-:|") == 2
    assert "a\\_1" in render.latex(table) and "50 \\% | a \\& b" in render.latex(table)


def test_holm_corrects_the_main_contrast():
    rows = [training(held_out=h, averaged=0.9 + h % 3 / 100) for h in range(10)]
    rows += [training(held_out=h, averaged=0.8 + h / 50, **CLASSIFIER) for h in range(10)]
    rows += [training(held_out=h, averaged=0.7, configuration="paper") for h in range(10)]
    table = beyond.differences(rows_of(*rows))
    main, other = table.iloc[0], table.loc["paper - classifier"].iloc[0]
    assert main["p, Holm"] == pytest.approx(main["p, t test"]) and pd.isna(other["p, Holm"])
    assert main["n"] == 10 and "strong - balanced" not in table.index.unique("difference")
    assert render.readable(table).shape == (2, 1)


KNOWN = {  # balanced minus classifier: the mean and its interval, recomputed by other code
    ("s (Eq. 12)", "CIFAR10"): (-0.051, -0.129, 0.026),
    ("s (Eq. 12)", "PlantVillage"): (0.070, 0.050, 0.089),
    ("s_zp (Eq. 16)", "FMNIST"): (-0.108, -0.185, -0.032),
}


def test_the_reference_edition_has_the_known_differences(runs_csv):
    table = beyond.differences(runs_csv("differences")).loc["balanced - classifier"]
    for place, known in KNOWN.items():
        found = table.loc[place, ["mean", "low", "high"]].tolist()
        assert found == pytest.approx(known, abs=6e-4), place


def test_the_classifier_at_the_papers_rate_is_told_from_its_own():
    slow = dict(method="classifier", configuration="classifier, lr=0.0002")
    rows = [training("fmnist", averaged=0.9, **CLASSIFIER)]  # no Y-GAN there
    rows += [training(held_out=i, averaged=0.6 + i / 100, configuration="paper") for i in range(10)]
    rows += [training(held_out=i, averaged=0.8 + i / 99, **CLASSIFIER) for i in range(10)]
    rows += [training(held_out=i, averaged=0.65, **slow) for i in range(8)]
    table = beyond.learning_rate(rows_of(*rows))
    assert set(table.index) == {("MNIST", "0.001"), ("MNIST", "0.0002")}
    row = table.loc["MNIST", "0.0002"]
    assert row["AUC, Y-GAN"] == pytest.approx(0.635) and (row["n"], row["lower in"]) == (8, 5)
    assert row["mean"] == pytest.approx(0.635 - 0.65)
    jobs = [job.config for job in Study("laptop").select(group="paper_rate")]
    assert jobs and {config.lr for config in jobs} == {2e-4}


def test_lengths_are_over_the_seeds_that_all_have():
    aucs = ((3, 0, 0.5), (3, 1, 0.7), (7, 0, 0.6), (7, 5, 0.9))
    rows = [training(auc=auc, epochs=epochs, seed=seed) for epochs, seed, auc in aucs]
    table = beyond.lengths(rows_of(*rows, training(held_out=1)))
    assert table.loc["MNIST", "4", "Y-GAN (balanced)", "last"].to_dict() == {"3": 0.5, "7": 0.6}
    assert len(table) == 1  # of class 1 there is one length


def test_a_training_of_the_papers_size_is_in_numbers():
    latents = dict(neighbours_z_s=0.6, neighbours_z_r=0.2, normal_accuracy=0.7)
    rows = rows_of(training("cifar10", 4, 0.7, 0.65, latents, epochs=100, width=64))
    best = rows[(rows["weights"] == "last") & (rows["metric"] == "auc")]
    best = best.assign(epoch_rule="best_on_test", epoch=34, value=0.72)
    row = beyond.paper_size(pd.concat([rows, best])).loc["Deer", "Y-GAN (balanced)"]
    assert row.tolist() == [100, 0.7, 0.65, 0.72, 0.7, 0.6, 0.2]


def beside(auc, width=32, **settings):
    metrics = {"auc_s": auc, "auc_kNN": auc + 0.1, "normal_accuracy": 0.9}
    return training("cifar10", auc=auc, metrics=metrics, width=width, **settings)


STRONG = dict(method="strong", configuration="strong")


def test_the_strong_classifier_by_width_and_by_score():
    rows = [beside(0.7, held_out=h, **STRONG) for h in (0, 7)]
    table = beyond.strong(rows_of(*rows, beside(0.8, 64, held_out=0, **STRONG)))
    assert table.loc["CIFAR10", "32", "s (Eq. 12)"]["Airplane"] == pytest.approx(0.7)
    assert table.loc["CIFAR10", "64", "kNN"]["mean"] == pytest.approx(0.9)
    assert table.loc["CIFAR10", "", "Y-GAN, as printed"]["Airplane"] == 0.729
    shown = render.readable(table).loc["CIFAR10"]
    narrow = shown.loc[("32", "s (Eq. 12)"), ["Horse", shared.MEAN]]
    assert narrow.tolist() == ["0.700†", "only Airplane, Horse†"]
    assert "†" not in "".join(shown.loc["64", "s (Eq. 12)"])


def test_what_the_y_adds_is_paired_by_class_and_seed():
    draws = {(0, 0): (0.80, 0.75), (1, 0): (0.70, 0.71), (1, 1): (0.74, 0.72)}
    whitened, alone = [], []
    for (held_out, seed), (with_y, without) in draws.items():
        cell = dict(held_out=held_out, seed=seed)
        whitened.append(beside(with_y, configuration="whitened", **cell))
        alone.append(beside(without, **STRONG, **cell))
    row = beyond.added(rows_of(*whitened, *alone)).xs("s (Eq. 12)", level="score").iloc[0]
    assert row["Airplane"] == pytest.approx(0.05) and row["Car"] == pytest.approx(0.005)
    assert row["mean"] == pytest.approx(0.0275) and (row["n"], row["pairs"]) == (2, 3)
    assert row["low"] < 0 < row["high"] and pd.isna(row["Bird"])
    assert beyond.added(rows_of(*alone)).empty


def test_tables_are_functions_of_runs_csv(smoke):
    study, runs = smoke
    written, own = study.write_runs(), [run.job.id for run in runs.values()]
    read = pd.read_csv(study.root / "runs.csv")
    assert len(read) == len(written)
    table = color_mnist_probes(read[read["job"].isin(own)])
    made = views.make("color_mnist_probes", list(runs.values()))
    pd.testing.assert_frame_equal(table, made, check_dtype=False)


def test_the_threshold_of_a_rate_is_that_of_images_left_out_of_training(color):
    normal = color.scores[color.test["in_test"] & ~color.test["anomalous"]]
    threshold = percentile_threshold(color.test["calibration"], 0.95)
    assert color.metrics["tnr"] == pytest.approx(np.mean(normal <= threshold))
    assert color.metrics["calibration"] == len(color.test["calibration"])


def test_a_table_is_saved_whole_and_for_readers(smoke, read_json):
    study, runs = smoke
    own = list(runs.values())
    table = views.save(study, "color_mnist_probes", own, "-test")
    folder, column = study.folder / "tables", "AUC (Eq. 12)"
    saved = pd.read_csv(StringIO((folder / "color_mnist_probes-test.csv").read_text()), index_col=0)
    assert saved.loc["balanced", column] == pytest.approx(table.loc["balanced", column], abs=1e-6)
    assert "width" in saved and "width" not in (folder / "color_mnist_probes-test.md").read_text()
    assert (folder / "color_mnist_probes-test.tex").read_text().startswith("% profile: smoke")
    about = read_json(folder / "color_mnist_probes-test.json")
    assert about["jobs"] == [run.job.id for run in own]
    for name, few in {"table5": [], "deviations": own}.items():
        with pytest.raises(NotTrained, match=f"nothing of {name} is trained"):
            views.make(name, few)


def test_tables_1_to_4_leave_other_lengths_out():
    study = Study("laptop")
    for name in ("table1", "table2", "table3", "table4"):
        configs, lengths = [job.config for job in tables.TABLES[name].jobs(study)], {}
        assert {c.variant for c in configs} <= {"full", "background_only"}
        assert {c.deviation for c in configs} <= {"none", *METHODS}
        assert {c.labels for c in configs} == {"true"}
        for c in configs:
            lengths.setdefault((c.key, c.dataset), set()).add(c.epochs)
        assert lengths and all(len(found) == 1 for found in lengths.values())


def test_tables_5_and_6_have_whole_y_gans_of_the_same_images_and_seeds():
    study = Study("quick")
    for name, changed in (("table5", "variant"), ("table6", "labels")):
        configs = [job.config for job in tables.TABLES[name].jobs(study)]
        place = [(c.dataset, c.held_out, c.seed, c.split_seed, c.name) for c in configs]
        plain = [getattr(c, changed) in ("full", "true") for c in configs]
        whole = {p for p, is_whole in zip(place, plain, strict=True) if is_whole}
        others = {p for p, is_whole in zip(place, plain, strict=True) if not is_whole}
        assert whole == others and whole


def test_weak_labels_name_the_network_and_its_size():
    found = {"classes": 9, "clusters": 8, "clusters_as_written": 7, "features:EfficientNet": 224}
    found |= {"purity": 0.8, "purity_as_written": 0.7}
    row = benchmarks.weak_labels(rows_of(training(labels="weak", metrics=found))).iloc[0]
    assert (row["features of"], row["image size"]) == ("EfficientNet", 224)
    assert (row["classes"], row["k, cosine"], row["k, paper"]) == (9, 8, "9 or 10")
    assert (row["purity, as written"], row["purity, paper"]) == (0.7, 0.95)


def test_trainings_have_a_row_each_a_name_and_the_weights_asked_for():
    rows = rows_of(training(auc=0.9, averaged=0.8), training(auc=0.7, **PADIM))
    assert trainings_of(rows)["auc"].tolist() == [0.9, 0.7]
    assert trainings_of(rows)["name"].tolist() == ["Y-GAN (balanced)", "PaDiM"]
    assert trainings_of(rows, "averaged")["auc"].tolist() == [0.8]
    changed = training(method="classifier", configuration="classifier, lr=0.0002")
    weak = training(labels="weak", configuration="paper")
    names = trainings_of(rows_of(changed, weak))["name"]
    assert set(names) == {"Classifier (lr=0.0002)", "Y-GAN* (paper)"}


def test_a_baselines_empty_configuration_survives_the_file(tmp_path):
    rows = rows_of(training(), training(auc=0.7, **PADIM))
    rows.to_csv(tmp_path / "runs.csv", index=False)
    read = benchmark(1, pd.read_csv(tmp_path / "runs.csv"))
    pd.testing.assert_frame_equal(read, benchmark(1, rows), check_dtype=False)
